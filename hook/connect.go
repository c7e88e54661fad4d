package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/internal/config"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Target is the running container that an administrator means.
type Target struct {
	ID  string // the id that the runtime was given
	Pid int    // of a process in it; 0: by what berth has recorded of it
}

// ErrUnknownContainer is wrapped when a container is named that has no
// attachment, so that berth cannot know its namespace without a pid.
var ErrUnknownContainer = errors.New("berth knows no such container")

// Connect gives a running container one more interface, as an administrator
// who need not ask the policy. Connecting again by the same words is the same
// attachment. It lasts until the container ends.
func (h *Hook) Connect(ctx context.Context, t Target, s specs.Selection) (*state.Attachment, error) {
	if err := checkID(t.ID); err != nil {
		return nil, err
	}
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return nil, err
	}
	n, err := config.Network(h.Dirs.Config, s.Network)
	if err != nil {
		return nil, specs.At("network", err)
	}
	requests := []Request{{Selection: s, Net: n}}
	if err := checkAddresses(&requests[0]); err != nil {
		return nil, err
	}
	host, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	h.host = host
	c, err := h.find(ctx, t)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := h.refuseSecond(ctx, c, &requests[0]); err != nil {
		return nil, err
	}
	if err := h.attach(ctx, c, requests, &cfg); err != nil {
		return nil, err
	}
	return h.answer(ctx, c, requests[0].Text(1))
}

// find opens the namespace of a running container.
func (h *Hook) find(ctx context.Context, t Target) (*container, error) {
	known, err := h.recorded(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	c := &container{ids: []string{t.ID}}
	if len(known) > 0 {
		c.ids, c.names = known[0].Containers, known[0].Annotations
	}
	switch {
	case t.Pid != 0:
		c.ns, err = network.OpenPID(t.Pid)
	case len(known) == 0:
		return nil, fmt.Errorf("container %q: %w; say --pid with a process of it", t.ID, ErrUnknownContainer)
	default:
		c.ns, err = network.FindNamespace(known[0].Cookie)
	}
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", t.ID, err)
	}
	if err := c.open(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (h *Hook) recorded(ctx context.Context, id string) (all []*state.Attachment, err error) {
	err = h.Store.View(ctx, func(tx *state.Tx) error {
		all, err = tx.OfContainer(id)
		return err
	})
	return all, err
}

// refuseSecond refuses another interface on a network that the container is
// on, because a person who says so means the one that is there; and another
// name for a container that is known, because nobody would ever release it.
func (h *Hook) refuseSecond(ctx context.Context, c *container, r *Request) error {
	return h.Store.View(ctx, func(tx *state.Tx) error {
		there, err := tx.InNamespace(c.cookie)
		for _, a := range there {
			if !slices.Contains(a.Containers, c.ids[0]) {
				return specs.Invalid("container", c.ids[0], "%s, the container whose network namespace this is (berth ps), and no --pid", a.Containers[0])
			}
			if a.Network == r.Network && a.Phase == specs.PhaseAttached && a.Selection != r.Text(1) {
				return specs.Invalid("network", r.Network, "one that container %s is not on: it has %s there already (berth network disconnect %s %[1]s)",
					c.ids[0], a.Interface, r.Network)
			}
		}
		return err
	})
}

// answer finds the attachment that answers a request.
func (h *Hook) answer(ctx context.Context, c *container, text string) (found *state.Attachment, err error) {
	err = h.Store.View(ctx, func(tx *state.Tx) error {
		there, err := tx.InNamespace(c.cookie)
		for _, a := range there {
			if a.Selection == text {
				found = a
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("the new interface of container %q: %w", c.ids[0], state.ErrNotFound))
	})
	return found, err
}

// Disconnect takes a running container off a network, and returns the names
// of the interfaces that it had there.
func (h *Hook) Disconnect(ctx context.Context, id, networkName string) (interfaces []string, err error) {
	known, err := h.recorded(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("container %q: %w", id, ErrUnknownContainer)
	}
	host, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	h.host = host
	for _, a := range known {
		if a.Network != networkName {
			continue
		}
		if err := h.reclaimOne(ctx, a.Key()); err != nil {
			return interfaces, fmt.Errorf("disconnect %q of container %q: %w", a.Interface, id, err)
		}
		interfaces = append(interfaces, a.Interface)
	}
	if len(interfaces) == 0 {
		return nil, specs.Invalid("network", networkName, "one that container %s is on", id)
	}
	return interfaces, nil
}
