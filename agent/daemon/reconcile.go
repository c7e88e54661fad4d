package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"berth/bpf"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

// reconcile reads the whole state, applies the plan, and publishes the status. A failed
// step becomes a problem of the status, and is retried the next time.
func (a *Agent) reconcile(ctx context.Context, watch *watcher) {
	problems := []string{}
	note := func(err error) {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	note(watch.watchDirs())
	note(a.followConfig())
	faults := flaws{}
	pins := a.keepPinned()
	note(pins)
	faults.addFlaw(allParents, pins)
	w, err := a.readWorld(ctx, note)
	if err == nil && a.rehomeStrays(ctx, &w, note) {
		w, err = a.readWorld(ctx, note)
	}
	note(err)
	var parents []specs.ParentStatus // nil if not known
	if err == nil {
		parents = a.reconcileWorld(ctx, &w, faults, note)
	}
	for _, p := range parents {
		if p.Problem != "" {
			problems = append(problems, p.Problem)
		}
	}
	slices.Sort(problems)
	a.publishStatus(parents, slices.Compact(problems), w.records)
}

// reconcileWorld brings the datapath to the wanted state, and returns the state of the parents
// after that.
func (a *Agent) reconcileWorld(ctx context.Context, w *world, faults flaws, note func(error)) []specs.ParentStatus {
	note(a.writeVLANs(w.links))
	p := planParents(*w)
	if a.applyPlan(ctx, p, w.links) {
		attached, err := a.attachedPrograms()
		note(err)
		w.attached, w.done, w.failed = attached, a.done, a.failed
		p = planParents(*w)
	}
	note(a.writeHostAddresses(&w.facts, p.parents))
	note(a.recordVanished(ctx, w))
	note(a.markVanished(w))
	note(a.registerMissing(ctx, w.records, faults))
	note(a.attachShims(ctx))
	note(a.forgetEndangered(w.records))
	note(a.missingSiblingPrograms(ctx, w.records, faults))
	a.addSlotFlaws(w.records, faults)
	faults.markParents(p.parents)
	return p.parents
}

// readWorld reads networks, records and links. A broken network file is noted, and the others
// are followed.
//
// Programs are read first: a hook records an attachment before it attaches the programs to
// its parent, so programs that are seen here without a record are not wanted.
func (a *Agent) readWorld(ctx context.Context, note func(error)) (world, error) {
	attached, err := a.attachedPrograms()
	if err != nil {
		return world{}, err
	}
	networks, broken := config.Networks(a.o.Dirs.Config)
	for _, err := range broken {
		note(err)
	}
	now, err := a.records.currentReading(ctx)
	if err != nil {
		return world{}, fmt.Errorf("read the attachments: %w", err)
	}
	facts, err := a.host()
	if err != nil {
		return world{}, err
	}
	return world{networks: networks, records: now.all, links: facts.planLinks(), facts: facts,
		attached: attached, done: a.done, failed: a.failed, off: a.off}, nil
}

func (a *Agent) attachedPrograms() (map[int]bpf.Attachment, error) {
	if a.datapath == nil {
		return nil, nil
	}
	attached, err := a.datapath.Attached()
	if err != nil {
		return nil, fmt.Errorf("list the attached programs: %w", err)
	}
	return attached, nil
}

// applyPlan attaches and detaches, and reports whether it changed anything. It attaches
// before it detaches: if the index of a parent has changed, Attach renames the pinned links of
// the old index, which Detach would remove.
func (a *Agent) applyPlan(ctx context.Context, p plan, links []link) bool {
	if a.datapath == nil {
		return false
	}
	for _, l := range p.attach {
		delete(a.failed, l.index)
		if err := a.datapath.Attach(l.index, l.mac); err != nil {
			delete(a.done, l.index)
			a.failed[l.index] = fmt.Sprintf("parent %q: %s", l.name, explainAttach(a.config.Attach, err))
			continue
		}
		a.done[l.index] = l.mac
		a.log.Info("attached", "parent", l.name, "index", l.index)
	}
	for _, index := range p.detach {
		delete(a.done, index)
		delete(a.failed, index)
		if err := a.detachParent(ctx, index, links); err != nil {
			a.log.Warn("cannot detach programs", "index", index, "error", err)
		} else {
			a.log.Info("detached", "index", index)
		}
	}
	return len(p.attach)+len(p.detach) > 0
}

// chunk is the number of attachments registered per transaction, so that no container waits
// for long.
const chunk = 256

// registerRound is the number of endpoints that each resync registers again, in turns, in case another
// program has removed one from the maps.
const registerRound = 500

// renewRound makes the next registerRound endpoints be registered again, and the programs of their
// own interfaces be searched again.
func (a *Agent) renewRound(ctx context.Context) {
	now, err := a.records.currentReading(ctx)
	if err != nil {
		return // it is a problem of the reconciliation that follows
	}
	for _, r := range nextRound(now.all, &a.turn) {
		r.registered.Store(0)
		r.inside.Store(0)
	}
}

// nextRound returns the registerRound records from a turn on, or all if they are fewer, and advances
// the turn.
func nextRound(all []*record, turn *int) []*record {
	if len(all) <= registerRound {
		*turn = 0
		return all
	}
	from := *turn % len(all)
	*turn = from + registerRound
	some := all[from:min(from+registerRound, len(all))]
	return slices.Concat(some, all[:registerRound-len(some)])
}

// registerMissing registers the live attachments that this process has not registered yet. A hook
// registers its own if it finds the pinned maps; the agent registers those that exist when
// it starts or after a purge.
func (a *Agent) registerMissing(ctx context.Context, all []*record, faults flaws) error {
	if a.datapath == nil {
		return nil
	}
	var missing []*record
	for _, r := range all {
		if r.isLive() && r.slot != 0 && !r.lost && r.registered.Load() != a.generation {
			missing = append(missing, r)
		}
	}
	var errs []error
	for some := range slices.Chunk(missing, chunk) {
		errs = append(errs, a.registerChunk(ctx, some, faults))
	}
	return errors.Join(errs...)
}

// registerChunk registers within a transaction, so that no attachment ends meanwhile: an
// attachment that is live then is unregistered after this, not before.
func (a *Agent) registerChunk(ctx context.Context, some []*record, faults flaws) error {
	return a.store.View(ctx, func(tx *state.Tx) error {
		var errs []error
		for _, r := range some {
			at, err := tx.Attachment(r.key)
			if err != nil || at.Slot == 0 {
				continue // it has ended in between
			}
			if err := a.registerEndpoint(a.datapath.Maps(), at); err != nil {
				err = fmt.Errorf("register attachment %q: %w", r.key, err)
				faults.addFlaw(r.parentIndex, err)
				errs = append(errs, err)
				continue
			}
			r.registered.Store(a.generation)
		}
		return errors.Join(errs...)
	})
}

// publishStatus stores the status, and logs each problem once as long as it stays.
func (a *Agent) publishStatus(parents []specs.ParentStatus, problems []string, all []*record) {
	now := make(map[string]bool, len(problems))
	for _, p := range problems {
		if !a.loggedProblems[p] {
			a.log.Warn("problem", "what", p)
		}
		now[p] = true
	}
	for p := range a.loggedProblems {
		if !now[p] {
			a.log.Info("problem solved", "what", p)
		}
	}
	a.loggedProblems = now
	if parents == nil {
		parents = []specs.ParentStatus{}
		if old := a.status.Load(); old != nil {
			parents = old.Parents
		}
	}
	live := 0
	for _, r := range all {
		if r.isLive() {
			live++
		}
		if r.isDraining() {
			poke(a.draining)
		}
	}
	a.namer.wakeNamer()
	poke(a.drift.wakes)
	a.status.Store(&specs.AgentStatus{
		Version: a.o.Version, PID: os.Getpid(), Started: a.started, Attached: !a.off, Metrics: a.o.Metrics,
		Endpoints: live, Parents: parents, Problems: problems, LastReconciled: time.Now(),
	})
}
