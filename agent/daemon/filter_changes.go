package daemon

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"berth/bpf"
	"berth/network"
)

// filterPause is the least time between two wakes for changes of filters. It bounds the work if
// another program removes berth's filters each time that the agent has restored them.
const filterPause = time.Second

// filterChanges wakes the loop if qdiscs or filters have changed: at once, unless the last wake was
// within the pause. It collects the interfaces of containers on which berth's filters may be no longer.
type filterChanges struct {
	pause time.Duration
	wake  func()

	inside bool // whether programs on containers' interfaces are filters
	own    atomic.Pointer[func(program uint32) bool]

	mu         sync.Mutex
	due        bool      // a wake is scheduled
	next       time.Time // before which none is
	endangered map[linkID]endangered
}

// endangered has for egress and ingress why an interface may lack its filter there.
type endangered [2]struct{ removed, preceded bool }

// noteChange notes a change of filters, or of a container's links, which lose their filters if they
// move to another namespace. It does not block.
func (f *filterChanges) noteChange(c network.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case c.NSID < 0 && !c.Filters, c.NSID >= 0 && !f.inside:
		return
	case c.NSID >= 0 && c.Index == 0: // the ID is another namespace's from now on
		f.forgetNamespace(c.NSID)
		return
	case c.NSID >= 0 && !f.noteInside(c):
		return
	}
	f.scheduleWake()
}

// noteInside notes a change in a container's namespace, and reports whether a wake is due.
func (f *filterChanges) noteInside(c network.Change) bool {
	at := linkID{c.NSID, c.Index}
	e, is := f.endangered[at]
	if c.Left {
		e[0].removed, e[1].removed = true, true
	} else if own := f.own.Load(); c.Filters && own != nil {
		e.addEffect(bpf.FilterChange(c.Filter).EffectInside(*own))
	}
	switch {
	case e != (endangered{}):
		f.putEndangered(at, e)
	case is:
		delete(f.endangered, at)
	}
	return c.Filters && e != (endangered{})
}

// addEffect adds the effect of a change in some directions.
func (e *endangered) addEffect(effect bpf.InsideEffect, egress, ingress bool) {
	for i, in := range []bool{egress, ingress} {
		switch {
		case !in:
		case effect == bpf.Removed:
			e[i].removed = true
		case effect == bpf.Preceded:
			e[i].preceded = true
		case effect == bpf.Restored:
			e[i].removed = false
		}
	}
}

func (f *filterChanges) putEndangered(at linkID, e endangered) {
	if f.endangered == nil {
		f.endangered = make(map[linkID]endangered)
	}
	f.endangered[at] = e
}

func (f *filterChanges) forgetNamespace(nsid int) {
	for at := range f.endangered {
		if at.nsid == nsid {
			delete(f.endangered, at)
		}
	}
}

func (f *filterChanges) scheduleWake() {
	if f.due {
		return
	}
	f.due = true
	time.AfterFunc(time.Until(f.next), func() {
		f.mu.Lock()
		f.due, f.next = false, time.Now().Add(f.pause)
		f.mu.Unlock()
		f.wake()
	})
}

// takeEndangered returns the interfaces that may lack filters since the last call.
func (f *filterChanges) takeEndangered() map[linkID]endangered {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.endangered
	f.endangered = nil
	return all
}

// forgetEndangered makes the datapath forget filters of containers' interfaces that may have been
// removed. So the interfaces count as without them until `berth gc` has attached them again. The
// agent itself cannot look for filters in a container's namespace.
func (a *Agent) forgetEndangered(all []*record) error {
	if a.datapath == nil {
		return nil
	}
	at := a.filters.takeEndangered()
	if len(at) == 0 {
		return nil
	}
	var errs []error
	for _, r := range all {
		e, is := at[r.linkID()]
		if !is || !r.isLive() || r.observed || r.slot == 0 {
			continue
		}
		if err := a.forgetFilters(r, e); err != nil {
			errs = append(errs, fmt.Errorf("attachment %q: %w", r.key, err))
		}
	}
	return errors.Join(errs...)
}

func (a *Agent) forgetFilters(r *record, e endangered) error {
	r.inside.Store(0)
	var errs []error
	for i, why := range e {
		if why.removed || why.preceded {
			errs = append(errs, a.datapath.Maps().DropInside(bpf.Inside{
				Slot: r.slot, Cookie: r.cookie, Index: int(r.linkIndex), Ingress: i == 1,
			}))
		}
	}
	return errors.Join(errs...)
}
