package hook

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	berth "berth/specs"
)

// Start attaches a container: all of its interfaces, or none and an error. Its
// network namespace is its process's.
func (h *Hook) Start(ctx context.Context, st *specs.State) error {
	if err := checkPublished(st); err != nil {
		return err
	}
	return h.StartIn(ctx, st, "")
}

// StartIn is Start for a container whose network namespace is at a path, as
// that of a pod; "": its process's. Of the state it takes the id and the
// annotations, and without a path the pid.
func (h *Hook) StartIn(ctx context.Context, st *specs.State, namespace string) error {
	if err := checkID(st.ID); err != nil {
		return err
	}
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return err
	}
	defer h.closeHost()
	requests, err := h.resolveState(st.Annotations, &cfg)
	if err != nil || len(requests) == 0 {
		return err
	}
	if err := h.openHost(); err != nil {
		return err
	}
	c, err := openContainer(st, namespace)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := h.attach(ctx, c, requests, &cfg); err != nil {
		return err
	}
	h.logCollected(h.releaser().CollectRest(ctx, h.left, collectBound))
	return nil
}

// attach attaches a container while no other run works in its namespace: two
// containers of a pod may be started at once, and each must see what the other
// has made. It tries once more where the facts have changed, or where an
// address, a MAC or a parent may still be held by a container that is gone
// without a poststop.
func (h *Hook) attach(ctx context.Context, c *container, requests []Request, cfg *berth.Config) error {
	letGo, err := h.Store.Hold(ctx, fmt.Sprintf("namespace %016x", c.cookie))
	if err != nil {
		return fmt.Errorf("wait for another berth-hook in the network namespace of container %q: %w", c.ids[0], err)
	}
	defer letGo()
	err = h.tryAttach(ctx, c, requests, cfg)
	if errors.Is(err, errMoved) || errors.Is(err, errParentMoved) {
		err = h.tryAttach(ctx, c, requests, cfg)
	}
	if !heldByOther(err) {
		return err
	}
	report, collectErr := h.releaser().Collect(ctx, collectAll)
	if collectErr != nil || len(report.Released) == 0 {
		return errors.Join(err, collectErr)
	}
	return h.tryAttach(ctx, c, requests, cfg)
}

func heldByOther(err error) bool {
	var exhausted *lease.ExhaustedError
	var inUse *lease.InUseError
	var taken *network.SharingError
	return errors.As(err, &exhausted) || errors.As(err, &inUse) || errors.As(err, &taken)
}

func (h *Hook) tryAttach(ctx context.Context, c *container, requests []Request, cfg *berth.Config) error {
	facts, err := h.gather(ctx, c, requests)
	if err != nil {
		return err
	}
	if stale := staleOf(facts); len(stale) > 0 {
		if err := h.reclaim(ctx, stale); err != nil {
			return err
		}
		if facts, err = h.gather(ctx, c, requests); err != nil {
			return err
		}
	}
	plan, err := MakePlan(requests, facts)
	if err != nil {
		return err
	}
	if h.Interruptible != nil {
		ctx = h.Interruptible(ctx)
	}
	a := &attaching{Hook: h, container: c, slots: cfg.Agent.MaxEndpoints, by: cfg.Agent.Attach, plan: plan}
	defer a.done()
	if err := a.run(ctx); err != nil {
		return errors.Join(err, a.undo.unwind(ctx))
	}
	return nil
}

// staleOf returns what a run before has left in the namespace: records whose
// maker was killed, and records whose interface somebody took away.
func staleOf(f *Facts) []*state.Attachment {
	var stale []*state.Attachment
	for _, a := range f.Existing {
		if a.Phase != berth.PhaseEnded && (a.Phase == berth.PhaseAttaching || a.Leaving || !f.Links[a.Interface]) {
			stale = append(stale, a)
		}
	}
	return stale
}

// reclaim releases stale attachments. One whose maker still works is no other
// run's to touch.
func (h *Hook) reclaim(ctx context.Context, stale []*state.Attachment) error {
	for _, a := range stale {
		if err := h.reclaimOne(ctx, a.Key()); err != nil {
			return fmt.Errorf("interface %q, left of an earlier start: %w", a.Interface, err)
		}
	}
	return nil
}

func (h *Hook) reclaimOne(ctx context.Context, key string) error {
	wait, cancel := context.WithTimeout(ctx, holdWait)
	defer cancel()
	letGo, err := h.Store.Hold(wait, key)
	if err != nil {
		return err
	}
	defer letGo()
	return h.releaser().Attachment(ctx, key)
}
