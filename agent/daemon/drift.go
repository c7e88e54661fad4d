package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"berth/internal/drift"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// driftGather is the delay in which changes gather before a check: an address is often
// moved by two commands.
const driftGather = 50 * time.Millisecond

// driftRound is the number of interfaces that each resync checks again, in turns, in case a
// notification was lost. If notifications are unavailable, each resync checks all.
const driftRound = 500

// linkID identifies a link of a namespace.
type linkID struct{ nsid, index int }

// drifter compares interfaces with their records, and reports each difference once. Its
// first group belongs to the goroutine of runInspections.
type drifter struct {
	a        *Agent
	host     *network.Handle             // strict
	reported map[string]reportedFindings // reported findings, by the attachment's key
	turn     int                         // index of the record with which the next round begins
	notified bool                        // whether notifications of other namespaces arrive

	wakes        chan struct{}
	mu           sync.Mutex
	changedLinks map[linkID]bool // that have changed
	onHost       bool            // whether an interface of the host has changed
	every        bool            // whether anything may have changed
	round        bool            // whether the next batch is due, without a known change
}

// reportedFindings holds the current findings of one attachment that were reported.
type reportedFindings struct {
	created  int64
	findings []finding
}

func newDrifter(a *Agent, notified bool) (*drifter, error) {
	host, err := network.NewStrictHandle()
	if err != nil {
		return nil, err
	}
	return &drifter{a: a, host: host, notified: notified, reported: make(map[string]reportedFindings),
		wakes: make(chan struct{}, 1), changedLinks: make(map[linkID]bool), every: true}, nil
}

// noteChange records a change. It does not block.
func (d *drifter) noteChange(c network.Change) {
	d.mu.Lock()
	switch {
	case c.Lost:
		d.every = true
	case c.NSID < 0:
		d.onHost = true
	default:
		d.changedLinks[linkID{c.NSID, c.Index}] = true
	}
	d.mu.Unlock()
	poke(d.wakes)
}

// scheduleRound schedules a check of the next batch of interfaces, or of all if change
// notifications are unavailable.
func (d *drifter) scheduleRound() {
	d.mu.Lock()
	d.round, d.every = true, d.every || !d.notified
	d.mu.Unlock()
	poke(d.wakes)
}

// runInspections checks interfaces when it is woken, until ctx is done.
func (d *drifter) runInspections(ctx context.Context) {
	logged := ""
	for {
		err := d.inspectDue(ctx)
		if err == nil {
			logged = ""
		} else if text := err.Error(); text != logged && ctx.Err() == nil {
			logged = text
			d.a.log.Warn("cannot compare interfaces with their records", "error", err)
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

// inspectDue checks the changed interfaces, those whose records are new or changed, and the next
// batch.
func (d *drifter) inspectDue(ctx context.Context) error {
	d.mu.Lock()
	changedLinks, onHost, every, round := d.changedLinks, d.onHost, d.every, d.round
	d.changedLinks, d.onHost, d.every, d.round = make(map[linkID]bool), false, false, false
	d.mu.Unlock()
	now, err := d.a.records.currentReading(ctx)
	if err != nil {
		d.keepDue(changedLinks, onHost, every, round)
		return err
	}
	var due []*record
	for i, r := range now.all {
		if r.phase != specs.PhaseAttached || r.observed {
			continue // an observed interface has no declared state
		}
		inTurn := round && (i-d.turn+len(now.all))%len(now.all) < driftRound
		shared := onHost && r.Mode == specs.ModePassthru
		if every || inTurn || shared || !r.compared.Load() || changedLinks[r.linkID()] {
			due = append(due, r)
		}
	}
	if round && len(now.all) > 0 {
		d.turn = (d.turn + driftRound) % len(now.all)
	}
	d.turn = min(d.turn, max(0, len(now.all)-1))
	d.forgetEnded(now.all)
	var errs []error
	for some := range slices.Chunk(due, chunk) {
		errs = append(errs, d.inspectRecords(ctx, some))
	}
	return errors.Join(errs...)
}

// keepDue makes the same interfaces be checked the next time, after an error.
func (d *drifter) keepDue(changedLinks map[linkID]bool, onHost, every, round bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.Copy(d.changedLinks, changedLinks)
	d.onHost, d.every, d.round = d.onHost || onHost, d.every || every, d.round || round
}

// forgetEnded deletes the state of attachments that no longer exist.
func (d *drifter) forgetEnded(all []*record) {
	live := make(map[string]int64, len(d.reported))
	for _, r := range all {
		if _, is := d.reported[r.key]; is && r.isLive() {
			live[r.key] = r.Created
		}
	}
	for key, t := range d.reported {
		if live[key] != t.created {
			delete(d.reported, key)
		}
	}
}

// inspectRecords compares some interfaces with their records and reports new findings. Those that
// cannot be compared are due again.
func (d *drifter) inspectRecords(ctx context.Context, some []*record) error {
	attachments, err := d.readAttachments(ctx, some)
	if err != nil {
		for _, r := range some {
			r.compared.Store(false)
		}
		return err
	}
	var errs []error
	for i, at := range attachments {
		if at == nil {
			continue
		}
		err := d.inspectRecord(ctx, some[i], at)
		some[i].compared.Store(err == nil) // one that is gone is due again after a change of it, or in its turn
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// readAttachments returns the attachment of each record, or nil if it has ended or is another one.
func (d *drifter) readAttachments(ctx context.Context, some []*record) ([]*state.Attachment, error) {
	attachments := make([]*state.Attachment, len(some))
	return attachments, d.a.store.View(ctx, func(tx *state.Tx) error {
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
}

// inspectRecord compares one interface with its record and reports new findings.
func (d *drifter) inspectRecord(ctx context.Context, r *record, at *state.Attachment) error {
	findings, seen, err := d.inspectInterface(at)
	if seen {
		err = errors.Join(err, d.reportNewFindings(ctx, r, findings))
	}
	return err
}

// reportNewFindings emits an event for each finding that is new for this attachment, and remembers the
// current findings, so that each is reported once.
func (d *drifter) reportNewFindings(ctx context.Context, r *record, findings []finding) error {
	before, known := d.reported[r.key]
	known = known && before.created == r.Created
	fresh := slices.DeleteFunc(slices.Clone(findings), func(f finding) bool {
		return known && slices.Contains(before.findings, f)
	})
	if err := d.a.reportFindings(ctx, r, fresh, !known); err != nil {
		return fmt.Errorf("attachment %q: %w", r.key, err)
	}
	d.reported[r.key] = reportedFindings{r.Created, findings}
	return nil
}

// inspectInterface compares one interface; seen is false if it does not exist or was deleted meanwhile.
func (d *drifter) inspectInterface(at *state.Attachment) (findings []finding, seen bool, err error) {
	link, err := d.host.LinkAtIn(at.NSID, at.LinkIndex)
	if network.IsGone(err) || err == nil && drift.Another(at, &link) {
		return nil, false, nil
	}
	if errors.Is(err, network.ErrTooLong) {
		return []finding{tooLong(at)}, true, nil
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
		findings = append(findings, host.parentSharers(at.ParentIndex)...)
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
		// When an interface is deleted, its addresses go first.
		if _, err := d.host.LinkAtIn(at.NSID, at.LinkIndex); network.IsGone(err) {
			return nil, false, nil
		}
	}
	return append(findings, differs...), true, nil
}

// tooLong returns the finding of a link whose mode the kernel does not describe, as it has too many
// MACs or names.
func tooLong(at *state.Attachment) finding {
	_, want := drift.Mode(at, new(network.LinkInfo))
	return finding{specs.ModeDrift, "cannot be read because of thousands of MACs or hundreds of names, declared " + want}
}

// compareLink returns the findings of the link itself. In passthru mode the MAC is the
// parent's too, and may be changed unless the network forbids a promiscuous parent.
func compareLink(at *state.Attachment, l *network.LinkInfo) (all []finding) {
	if is, want := drift.Mode(at, l); is != want {
		detail := fmt.Sprintf("is %s, declared %s", drift.Brief(orKind(is, l)), drift.Brief(want))
		all = append(all, finding{specs.ModeDrift, detail})
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

// compareAddresses returns the findings of the addresses, if the container was assigned any.
func compareAddresses(at *state.Attachment, has []network.AddressInfo) (all []finding) {
	missing, extra := drift.Addresses(at, has)
	for _, p := range missing {
		all = append(all, finding{specs.AddressDrift, fmt.Sprintf("declared address %s is missing", p)})
	}
	for _, p := range extra {
		all = append(all, finding{specs.AddressDrift, fmt.Sprintf("address %s is not declared", p)})
	}
	return all
}
