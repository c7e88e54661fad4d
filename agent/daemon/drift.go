package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"berth/internal/drift"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// driftGather is how long changes are let gather before they are looked at: an
// address is often moved by two commands.
const driftGather = 50 * time.Millisecond

// driftRound is how many interfaces are looked at again at each resync, in
// turns, in case a change was not heard; all of them where nobody tells.
const driftRound = 500

// place is a link of a namespace.
type place struct{ nsid, index int }

// drifter holds what is attached to what was recorded, and tells each
// difference once. Its first group belongs to the goroutine of run.
type drifter struct {
	a     *Agent
	host  *network.Handle   // strict
	told  map[string]toldOf // by the attachment's key
	turn  int               // where in the records the next round begins
	heard bool              // changes in other namespaces are

	wakes  chan struct{}
	mu     sync.Mutex
	places map[place]bool // that have changed
	onHost bool           // an interface of the host has
	every  bool           // anything may have changed
	round  bool           // some are to be looked at though nothing is known to have changed
}

// toldOf is what was told of one attachment and still holds.
type toldOf struct {
	created  int64
	findings []finding
}

func newDrifter(a *Agent, heard bool) (*drifter, error) {
	host, err := network.NewStrictHandle()
	if err != nil {
		return nil, err
	}
	return &drifter{a: a, host: host, heard: heard, told: make(map[string]toldOf),
		wakes: make(chan struct{}, 1), places: make(map[place]bool), every: true}, nil
}

// changed notes a change. It does not block.
func (d *drifter) changed(c network.Change) {
	d.mu.Lock()
	switch {
	case c.Lost:
		d.every = true
	case c.NSID < 0:
		d.onHost = true
	default:
		d.places[place{c.NSID, c.Index}] = true
	}
	d.mu.Unlock()
	poke(d.wakes)
}

// again has some of all looked at.
func (d *drifter) again() {
	d.mu.Lock()
	d.round, d.every = true, d.every || !d.heard
	d.mu.Unlock()
	poke(d.wakes)
}

// run looks when it is woken, until ctx is done.
func (d *drifter) run(ctx context.Context) {
	said := ""
	for {
		err := d.pass(ctx)
		if err == nil {
			said = ""
		} else if text := err.Error(); text != said && ctx.Err() == nil {
			said = text
			d.a.log.Warn("interfaces are not compared with their records", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wakes:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(driftGather):
		}
	}
}

// pass looks at the interfaces that have changed, at those of attachments that
// this process has not looked at as they are recorded now, and at some others
// in turns.
func (d *drifter) pass(ctx context.Context) error {
	d.mu.Lock()
	places, onHost, every, round := d.places, d.onHost, d.every, d.round
	d.places, d.onHost, d.every, d.round = make(map[place]bool), false, false, false
	d.mu.Unlock()
	now, err := d.a.records.current(ctx)
	if err != nil {
		return err
	}
	var due []*record
	for i, r := range now.all {
		if r.phase != specs.PhaseAttached {
			continue
		}
		inTurn := round && (i-d.turn+len(now.all))%len(now.all) < driftRound
		shared := onHost && r.Mode == specs.ModePassthru
		if every || inTurn || shared || !r.compared.Load() || places[place{r.nsid, r.linkIndex}] {
			due = append(due, r)
		}
	}
	if round && len(now.all) > 0 {
		d.turn = (d.turn + driftRound) % len(now.all)
	}
	d.turn = min(d.turn, max(0, len(now.all)-1))
	d.forget(now.all)
	var errs []error
	for some := range slices.Chunk(due, chunk) {
		errs = append(errs, d.compare(ctx, some))
	}
	return errors.Join(errs...)
}

// forget lets go of attachments that are no longer there.
func (d *drifter) forget(all []*record) {
	live := make(map[string]int64, len(d.told))
	for _, r := range all {
		if r.live() {
			live[r.key] = r.Created
		}
	}
	for key, t := range d.told {
		if live[key] != t.created {
			delete(d.told, key)
		}
	}
}

// compare holds some interfaces to their records and tells what is new.
func (d *drifter) compare(ctx context.Context, some []*record) error {
	attachments := make([]*state.Attachment, len(some))
	err := d.a.store.View(ctx, func(tx *state.Tx) error {
		for i, r := range some {
			at, err := tx.Attachment(r.key)
			if err == nil && at.Created.UnixNano() == r.Created && at.Phase == specs.PhaseAttached && !at.Leaving {
				attachments[i] = at
			} else if err != nil && !errors.Is(err, state.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var errs []error
	for i, at := range attachments {
		if at == nil {
			continue
		}
		findings, seen, err := d.look(at)
		if err != nil {
			errs = append(errs, err)
		}
		if seen {
			errs = append(errs, d.tell(ctx, some[i], findings))
			some[i].compared.Store(true)
		}
	}
	return errors.Join(errs...)
}

// tell tells what was not told before of an attachment, and remembers it as
// long as it holds.
func (d *drifter) tell(ctx context.Context, r *record, findings []finding) error {
	before, known := d.told[r.key]
	known = known && before.created == r.Created
	fresh := slices.DeleteFunc(slices.Clone(findings), func(f finding) bool {
		return known && slices.Contains(before.findings, f)
	})
	if err := d.a.find(ctx, r, fresh, !known); err != nil {
		return fmt.Errorf("attachment %q: %w", r.key, err)
	}
	d.told[r.key] = toldOf{r.Created, findings}
	return nil
}

// look compares one interface; seen is false where there is none, or where it
// went meanwhile.
func (d *drifter) look(at *state.Attachment) (findings []finding, seen bool, err error) {
	link, err := d.host.LinkAtIn(at.NSID, at.LinkIndex)
	if network.IsGone(err) || err == nil && drift.Another(at, &link) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	findings = compareLink(at, &link)
	if at.Mode == specs.ModePassthru {
		host, err := d.a.host()
		if err != nil {
			return nil, false, err
		}
		findings = append(findings, host.sharers(at.ParentIndex)...)
	}
	if !link.Up || len(at.Addresses) == 0 {
		return findings, true, nil // an interface that is down has no IPv6 addresses
	}
	has, err := d.host.AddressesIn(at.NSID, link.Index)
	if network.IsGone(err) {
		return nil, false, nil
	}
	if err != nil {
		return findings, true, err
	}
	differs := compareAddresses(at, has)
	if len(differs) > 0 {
		// An interface that is being deleted loses its addresses first.
		if _, err := d.host.LinkAtIn(at.NSID, at.LinkIndex); network.IsGone(err) {
			return nil, false, nil
		}
	}
	return append(findings, differs...), true, nil
}

// compareLink finds what is not as declared of a link itself. In passthru mode
// the MAC is the parent's too; it may be changed, unless the parent was not to
// be made promiscuous.
func compareLink(at *state.Attachment, l *network.LinkInfo) (all []finding) {
	if is, want := drift.Mode(at, l); is != want {
		all = append(all, finding{specs.ModeDrift, fmt.Sprintf("is %s, declared %s", orKind(is, l), want)})
	}
	if !drift.MAC(at, l) {
		all = append(all, finding{specs.MACDrift, fmt.Sprintf("is %s, declared %s", l.MAC, at.MAC)})
	}
	if at.Mode == specs.ModePassthru && l.NoPromisc && l.MAC != at.MAC {
		all = append(all, finding{specs.PassthruShared, fmt.Sprintf("the parent has MAC %s, declared %s", l.MAC, at.MAC)})
	}
	return all
}

func orKind(is string, l *network.LinkInfo) string {
	if is == "" {
		return l.Kind
	}
	return is
}

// compareAddresses does the same of the addresses, of a container that was
// given some.
func compareAddresses(at *state.Attachment, has []network.AddressInfo) (all []finding) {
	missing, extra := drift.Addresses(at, has)
	for _, p := range missing {
		all = append(all, finding{specs.AddressDrift, fmt.Sprintf("%s is declared, and not there", p)})
	}
	for _, p := range extra {
		all = append(all, finding{specs.AddressDrift, fmt.Sprintf("%s is there, and not declared", p)})
	}
	return all
}
