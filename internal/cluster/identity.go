package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of a node's identity. After each of them this node leases no address of a block.
var (
	// ErrCloned is returned if another machine has registered with this node's identity.
	ErrCloned = errors.New("another machine has this node's identity")
	// ErrAlive is returned while another boot with this node's identity is present: the
	// previous boot's presence that has not ended yet, or a clone.
	ErrAlive = errors.New("another boot with this node's identity is present")
	// ErrForgotten is returned if an administrator has removed this node.
	ErrForgotten = errors.New("this node was removed by berth cluster forget")
)

// Register makes this boot the registered one. A keeper's round does so too.
func (n *Self) Register(ctx context.Context) error {
	s, err := n.store.List(ctx, nodePrefix+string(n.file.Node), alivePrefix+string(n.file.Node))
	if err != nil {
		return fmt.Errorf("read this node's registration: %w", err)
	}
	v := NewView("", nil, s)
	v.Older = n.note(v)
	err = n.register(ctx, v)
	if isIdentity(err) {
		return errors.Join(err, n.Renounce(err))
	}
	return err
}

// register makes this boot the registered one. The registration is written once a boot,
// by compare-and-swap from the revision of the one before, and every later change depends
// on it. So of two machines with one identity at most one can change the store.
func (n *Self) register(ctx context.Context, v View) error {
	at := v.Nodes[n.file.Node]
	switch {
	case v.Older && at.Revision < n.file.Registered && (at.Alive == "" || at.Alive == n.boot):
		return n.registerBoot(ctx, at.Revision) // the store lacks the registration of this boot
	case at.Revision == 0 && n.file.Registered != 0:
		return ErrForgotten
	case at.Revision != 0 && !slices.Contains(n.file.Boots, at.Boot):
		return fmt.Errorf("%w: it is registered with boot id %q and name %q; "+
			"remove %s on the clone, and restart berthd there",
			ErrCloned, at.Boot, at.Name, fileName)
	case at.Revision != 0 && at.Boot == n.boot:
		return n.confirm(at.Revision)
	case at.Alive != "" && at.Alive != n.boot:
		return fmt.Errorf("%w: boot id %q; if it remains, the machine is a clone: "+
			"remove %s on it, and restart berthd there",
			ErrAlive, at.Alive, fileName)
	}
	return n.registerBoot(ctx, at.Revision)
}

// registerBoot records the boot id before it is sent, so that the registration is
// recognised if its answer is lost.
func (n *Self) registerBoot(ctx context.Context, was int64) error {
	f := n.file.clone()
	if !slices.Contains(f.Boots, n.boot) {
		f.Boots = append(f.Boots, n.boot)
	}
	if err := n.save(f); err != nil {
		return err
	}
	value := encode(Registration{Name: n.name, Boot: n.boot, Since: time.Now().UTC().Truncate(time.Second)})
	revision, err := n.store.Swap(ctx, Change{Key: nodePrefix + string(f.Node), Was: was, Action: Put, Value: value})
	if err != nil {
		return fmt.Errorf("register node %q: %w", n.name, err)
	}
	return n.confirm(revision)
}

// confirm records the registration of this boot.
func (n *Self) confirm(revision int64) error {
	if n.file.Registered == revision && len(n.file.Boots) == 1 {
		return nil
	}
	f := n.file.clone()
	f.Registered, f.Boots = revision, []string{n.boot}
	return n.save(f)
}

// isIdentity reports whether an error means that this node must not use its blocks.
func isIdentity(err error) bool {
	return errors.Is(err, ErrCloned) || errors.Is(err, ErrAlive) || errors.Is(err, ErrForgotten)
}
