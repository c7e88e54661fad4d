package daemon

import (
	"context"
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

// networkNamer stores the names of the networks of observed interfaces, as the files of their
// programs give them.
type networkNamer struct {
	a      *Agent
	reader *foreign.Reader
	wakes  chan struct{}
}

func newNetworkNamer(a *Agent) *networkNamer {
	return &networkNamer{a: a, reader: foreign.NewReader(foreign.Usual(a.config.Docker)), wakes: make(chan struct{}, 1)}
}

// nameNetworks names the networks of new interfaces until ctx is done. It tries the others
// again at each resync.
func (n *networkNamer) nameNetworks(ctx context.Context) {
	all := time.NewTicker(resync)
	defer all.Stop()
	poke(n.wakes)
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wakes:
		case <-all.C:
		}
		for soon := true; soon && ctx.Err() == nil; {
			var err error
			soon, err = n.namePending(ctx)
			if ctx.Err() == nil {
				n.a.troubles.setProblem("names of other programs' networks may be missing", oneLine(err))
			}
			if soon {
				select {
				case <-ctx.Done():
				case <-time.After(networkPause):
				}
			}
		}
	}
}

// namePending names the networks that have no name yet. It reports whether one is missing for
// an interface so new that its program may still write it.
func (n *networkNamer) namePending(ctx context.Context) (soon bool, err error) {
	pending, err := n.listUnnamed(ctx)
	if err != nil || len(pending) == 0 {
		return false, err
	}
	holdings, err := n.reader.ReadHoldings()
	named := make(map[*state.Attachment]specs.EngineNetwork)
	for _, at := range pending {
		if found := foreign.NetworkOf(foreignInterface(at), holdings); found != nil {
			named[at] = *found
		} else if time.Since(at.Created) < networkSettled {
			soon = true
		}
	}
	if len(named) == 0 {
		return soon, err
	}
	if failed := n.storeNetworks(ctx, named); failed != nil {
		return soon, failed
	}
	return soon, err
}

// listUnnamed returns the observed interfaces in containers whose network has no name.
func (n *networkNamer) listUnnamed(ctx context.Context) (all []*state.Attachment, err error) {
	err = n.a.store.View(ctx, func(tx *state.Tx) error {
		for at, err := range tx.Observed() {
			if err != nil {
				return err
			}
			if at.EngineNetwork == nil && at.Containers[0] != hostHolder {
				all = append(all, at)
			}
		}
		return nil
	})
	return all, err
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
