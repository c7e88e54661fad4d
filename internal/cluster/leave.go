package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"berth/specs"
)

// leaveAtOnce is the number of keys that one transaction gives back.
const leaveAtOnce = 64

// HeldDomains returns the domains of which the node's file lists keys.
func (n *Self) HeldDomains() []Domain {
	all := map[Domain]bool{}
	for key := range n.file.Held {
		if rest, ok := strings.CutPrefix(key, "domain/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			all[Domain(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// OwnedDomains returns the domains in which the store gives keys to this node. The file lacks one
// if berthd was killed after it had struck the keys and before the store had deleted them.
func (n *Self) OwnedDomains(ctx context.Context) ([]Domain, error) {
	s, err := n.store.List(ctx, "domain/")
	if err != nil {
		return nil, fmt.Errorf("read the domains in which this node has blocks: %w", err)
	}
	all := map[Domain]bool{}
	for _, e := range s.Entries {
		name, key, _ := strings.Cut(strings.TrimPrefix(e.Key, "domain/"), "/")
		if key != "pool" && n.owns(e) && specs.CheckClusterDomain(name) == nil {
			all[Domain(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// owns reports whether an entry gives its key to this node.
func (n *Self) owns(e Entry) bool {
	owner, err := decodeOwner(e.Value)
	return err == nil && owner.Node == n.file.Node
}

// Leave gives back all keys of a domain of which this node has no network any more. closeAll
// closes all parts of the domain, or returns false if an address of it is leased: then Leave
// changes nothing and returns false. Leave registers this boot first, because the file of a clone
// lists the keys, and the registration, of the original.
func (n *Self) Leave(ctx context.Context, d Domain, closeAll func() (bool, error)) (left bool, err error) {
	if err := n.Register(ctx); err != nil {
		return false, err
	}
	s, err := n.store.List(ctx, d.prefix())
	if err != nil {
		return false, fmt.Errorf("read domain %q: %w", d, err)
	}
	if closed, err := closeAll(); err != nil || !closed {
		return false, err
	}
	f := n.file.clone()
	maps.DeleteFunc(f.Held, func(key string, _ int64) bool { return strings.HasPrefix(key, d.prefix()) })
	if err := n.save(f); err != nil {
		return false, err
	}
	registered := Change{Key: nodePrefix + string(n.file.Node), Was: n.file.Registered}
	var changes []Change
	for _, e := range s.Entries {
		if e.Key != d.poolKey() && n.owns(e) {
			changes = append(changes, Change{Key: e.Key, Was: e.Revision, Action: Delete})
		}
	}
	for some := range slices.Chunk(changes, leaveAtOnce) {
		if _, err := n.store.Swap(ctx, append(slices.Clone(some), registered)...); err != nil {
			return false, fmt.Errorf("give back the blocks of domain %q: %w", d, err)
		}
		n.counts.Returns += uint64(len(some))
	}
	return true, nil
}
