package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Attach gives a sandbox the interfaces that it asks for: all of them, or none
// and an error. It is the one entrance for whatever knows of sandboxes: the
// state that an OCI runtime hands to its hooks, the command line, NRI.
//
// It returns the attachments in the order of the selections. Those that the
// sandbox has already, by the same selection, are among them: Attach can be
// repeated, and containers that share a namespace share its attachments.
func (h *Hook) Attach(ctx context.Context, s Sandbox, selections []specs.Selection) ([]*state.Attachment, error) {
	if err := checkID(s.ID); err != nil || len(selections) == 0 {
		return nil, err
	}
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return nil, err
	}
	host, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	h.host = host
	requests, err := h.resolve(&s, selections, &cfg.Policy)
	if err != nil {
		return nil, err
	}
	c, err := h.open(ctx, &s)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if s.Admin {
		if err := h.refuseSecond(ctx, c, requests); err != nil {
			return nil, err
		}
	}
	all, err := h.attach(ctx, c, requests, &cfg)
	if err != nil {
		return nil, err
	}
	h.logCollected(h.releaser().CollectRest(ctx, h.left, collectBound))
	return all, nil
}

// resolve finds the network of every selection, and holds each to the policy
// unless an administrator asks.
func (h *Hook) resolve(s *Sandbox, selections []specs.Selection, policy *specs.Policy) ([]Request, error) {
	if s.Admin {
		policy = nil
	}
	return Resolve(selections, policy, s.Namespace, func(name string) (*specs.Network, error) {
		return config.Network(h.Dirs.Config, name)
	}, h.parentNames)
}

// parentNames asks the kernel for the names of a parent that an annotation
// defines a network on.
func (h *Hook) parentNames(name string) (specs.ParentNames, error) {
	names, err := h.host.ParentNames(name)
	if err != nil {
		return names, fmt.Errorf("names of parent %q: %w", name, err)
	}
	return names, nil
}

// refuseSecond refuses another interface on a network that the container is on,
// because an administrator who asks for one means the one that is there; and
// another name for a container that is on record, because no end of a container
// of that name would release it.
func (h *Hook) refuseSecond(ctx context.Context, c *container, requests []Request) error {
	return h.Store.View(ctx, func(tx *state.Tx) error {
		there, err := tx.InNamespace(c.cookie)
		for _, a := range there {
			if !slices.Contains(a.Containers, c.ids[0]) {
				return fmt.Errorf("container %q: that network namespace belongs to container %s; use its id and leave out --pid",
					c.ids[0], a.Containers[0])
			}
			for i := range requests {
				r := &requests[i]
				if a.Network == r.Network && a.Phase == specs.PhaseAttached && a.Selection != r.Text(1) {
					return fmt.Errorf("container %s is already on network %q (interface %s); disconnect it first: "+
						"berth network disconnect %[2]s %[1]s", c.ids[0], r.Network, a.Interface)
				}
			}
		}
		return err
	})
}

// attach attaches a container while no other run works in its namespace: two
// containers of a pod may be started at once, and each must see what the other
// has made. It tries once more where the facts have changed, or where an
// address, a MAC or a parent may still be held by a container that is gone
// without a poststop.
func (h *Hook) attach(ctx context.Context, c *container, requests []Request, cfg *specs.Config) ([]*state.Attachment, error) {
	letGo, err := h.Store.Hold(ctx, fmt.Sprintf("namespace %016x", c.cookie))
	if err != nil {
		return nil, fmt.Errorf("wait for another berth-hook in the network namespace of container %q: %w", c.ids[0], err)
	}
	defer letGo()
	all, err := h.tryAttach(ctx, c, requests, cfg)
	if errors.Is(err, errMoved) || errors.Is(err, errParentMoved) {
		all, err = h.tryAttach(ctx, c, requests, cfg)
	}
	if !heldByOther(err) {
		return all, err
	}
	report, collectErr := h.releaser().Collect(ctx, collectAll)
	if collectErr != nil || len(report.Released) == 0 {
		return nil, errors.Join(err, collectErr)
	}
	return h.tryAttach(ctx, c, requests, cfg)
}

func heldByOther(err error) bool {
	var exhausted *lease.ExhaustedError
	var inUse *lease.InUseError
	var taken *network.SharingError
	return errors.As(err, &exhausted) || errors.As(err, &inUse) || errors.As(err, &taken)
}

func (h *Hook) tryAttach(ctx context.Context, c *container, requests []Request, cfg *specs.Config) ([]*state.Attachment, error) {
	facts, err := h.gather(ctx, c, requests)
	if err != nil {
		return nil, err
	}
	if facts.First {
		if facts, err = h.rehome(ctx, c, requests, facts); err != nil {
			return nil, err
		}
	}
	if stale := staleOf(facts); len(stale) > 0 {
		if err := h.reclaim(ctx, stale); err != nil {
			return nil, err
		}
		if facts, err = h.gather(ctx, c, requests); err != nil {
			return nil, err
		}
	}
	plan, err := MakePlan(requests, facts)
	if err != nil {
		return nil, err
	}
	if h.Interruptible != nil {
		ctx = h.Interruptible(ctx)
	}
	a := &attaching{Hook: h, container: c, slots: cfg.Agent.MaxEndpoints, by: cfg.Agent.Attach, plan: plan}
	defer a.done()
	if err := a.run(ctx); err != nil {
		return nil, errors.Join(err, a.undo.unwind(ctx))
	}
	return plan.answers(a.records), nil
}

// rehome corrects the records of attachments whose parent came back with another
// index, and gathers the facts anew if there were any.
func (h *Hook) rehome(ctx context.Context, c *container, requests []Request, facts *Facts) (*Facts, error) {
	moved, err := h.releaser().Rehome(ctx)
	if err != nil || moved == 0 {
		return facts, err
	}
	return h.gather(ctx, c, requests)
}

// staleOf returns what a run before has left in the namespace: records whose
// maker was killed, and records whose interface somebody took away.
func staleOf(f *Facts) []*state.Attachment {
	var stale []*state.Attachment
	for _, a := range f.Existing {
		if a.Phase != specs.PhaseEnded && (a.Phase == specs.PhaseAttaching || a.Leaving || !f.Links[a.Interface]) {
			stale = append(stale, a)
		}
	}
	return stale
}
