package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"berth/internal/foreign"
	"berth/internal/state"
	"berth/specs"
)

// An engine writes its files up to networkSettled after it has made an interface. Until then
// they are read again each networkPause.
const (
	networkPause   = time.Second
	networkSettled = 30 * time.Second
)

// berthsKept is the time for which a network of docker whose driver is berth is remembered after
// neither a record nor a file had it: a file that docker is writing may be left out of a reading.
const berthsKept = time.Hour

// networkNamer stores the names of the networks of observed interfaces, as the files of their
// programs give them, and the addresses that other programs have.
type networkNamer struct {
	a      *Agent
	reader *foreign.Reader
	berths map[string]time.Time // docker's IDs of networks whose driver is berth, with the time of the last sight
	wakes  chan struct{}

	observed []*state.Attachment // the live records of observed interfaces, as read last
	stamp    time.Time           // of the records then
}

func newNetworkNamer(a *Agent) *networkNamer {
	return &networkNamer{a: a, reader: foreign.NewReader(foreign.Usual(a.config.Docker)),
		berths: make(map[string]time.Time), wakes: make(chan struct{}, 1)}
}

// nameNetworks names the networks of new interfaces until ctx is done. It reads everything again
// at each resync, and at most once in networkPause, or less often if there is much to read.
func (n *networkNamer) nameNetworks(ctx context.Context) {
	all := time.NewTicker(resync)
	defer all.Stop()
	poke(n.wakes)
	var again <-chan time.Time // while an interface has no name
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wakes:
		case <-all.C:
		case <-again:
		}
		began := time.Now()
		soon, err := n.readAll(ctx)
		pause := pauseAfter(time.Since(began), searchShare, networkPause, 10*networkPause)
		if ctx.Err() == nil {
			n.a.troubles.setProblem("networks and addresses of other programs may be missing", oneLine(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		again = nil
		if soon {
			again = time.After(0)
		}
	}
}

// readAll names the networks that have no name yet, and stores the addresses of other programs. It
// reports whether a name is missing for an interface so new that its program may still write it.
func (n *networkNamer) readAll(ctx context.Context) (soon bool, err error) {
	holdings, err := n.reader.ReadHoldings()
	errs := []error{err}
	observed, err := n.readRecords(ctx) // after the files: a network of berth's in them has a record
	if err != nil {
		return false, err
	}
	holdings = n.withoutBerths(holdings, time.Now())
	named := make(map[*state.Attachment]specs.EngineNetwork)
	for _, at := range observed {
		if at.EngineNetwork != nil || at.Containers[0] == hostHolder {
			continue
		}
		if found := foreign.NetworkOf(foreignInterface(at), holdings); found != nil {
			named[at] = *found
		} else if isNew(at, networkSettled) {
			soon = true
		}
	}
	errs = append(errs, n.storeNetworks(ctx, named), n.storeAddresses(ctx, observed, holdings))
	return soon, errors.Join(errs...)
}

// withoutBerths removes the holdings in networks whose driver is berth, and forgets networks that no
// record and no holding has had for long.
func (n *networkNamer) withoutBerths(holdings []foreign.Holding, now time.Time) []foreign.Holding {
	holdings = slices.DeleteFunc(holdings, func(h foreign.Holding) bool {
		_, is := n.berths[h.NetworkID]
		if is {
			n.berths[h.NetworkID] = now
		}
		return is
	})
	maps.DeleteFunc(n.berths, func(_ string, seen time.Time) bool { return now.Sub(seen) > berthsKept })
	return holdings
}

// readRecords returns the live observed interfaces, and notes docker's networks whose driver is
// berth: docker writes their addresses in its files too.
func (n *networkNamer) readRecords(ctx context.Context) (all []*state.Attachment, err error) {
	now, err := n.a.records.currentReading(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range now.all {
		if id := r.rareFacts().dockerNet; id != "" {
			n.berths[id] = time.Now()
		}
	}
	if now.final && now.stamp.Equal(n.stamp) {
		return n.observed, nil
	}
	err = n.a.store.View(ctx, func(tx *state.Tx) error {
		for at, err := range tx.Observed() {
			if err != nil {
				return err
			}
			all = append(all, at)
		}
		return nil
	})
	if err == nil && now.final {
		n.observed, n.stamp = all, now.stamp
	}
	return all, err
}

// storeAddresses writes the addresses that berth does not give out, if they have changed.
func (n *networkNamer) storeAddresses(ctx context.Context, observed []*state.Attachment,
	holdings []foreign.Holding) error {
	networks, err := foreign.ReadNetworks(foreign.UsualDefinitions(""))
	if err != nil {
		return err
	}
	facts, err := n.a.host()
	if err != nil {
		return err
	}
	all, same := foreignAddresses(observed, holdings, networks, facts.links), false
	err = n.a.store.View(ctx, func(tx *state.Tx) (err error) {
		same, err = tx.HasForeignAddresses(all)
		return err
	})
	if err != nil || same {
		return err
	}
	return n.a.store.Update(ctx, func(tx *state.Tx) error { return tx.SetForeignAddresses(all) })
}

// storeNetworks writes names into records.
func (n *networkNamer) storeNetworks(ctx context.Context, named map[*state.Attachment]specs.EngineNetwork) error {
	for some := range slices.Chunk(slices.Collect(maps.Keys(named)), chunk) {
		err := n.a.store.Update(ctx, func(tx *state.Tx) error {
			for _, at := range some {
				if err := tx.SetEngineNetwork(at, named[at]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("name the networks of observed interfaces: %w", err)
		}
	}
	return nil
}

// foreignInterface describes the interface of a record for package foreign.
func foreignInterface(at *state.Attachment) *foreign.Interface {
	i := &foreign.Interface{Name: at.Interface, MAC: at.MAC, SharesMAC: at.Driver == specs.IPvlan, Addresses: at.Addresses}
	if isEngines(at) {
		i.Container = at.Containers[0]
	}
	return i
}
