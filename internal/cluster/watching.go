package cluster

import "slices"

// Watching is a part of the store whose changes concern this node. Nothing depends on a watch
// of it: a node that misses a change finds it at its next round or touch.
type Watching struct {
	Prefix string
	After  int64 // the revision at which this node has read the part
	// Freed means that the node waits for a block: only a deleted or an idle one concerns it.
	Freed bool
}

// Watching returns the parts to watch: the node's registration and the pool's text, and, while
// the pool is full, its blocks. A node does not watch the whole domain, because then each
// claim would be sent to each node.
func (k *Keeper) Watching() []Watching {
	if k.seen == 0 || !k.Registered() {
		return nil
	}
	all := []Watching{
		{Prefix: nodePrefix + string(k.file.Node), After: k.seen},
		{Prefix: k.domain.poolKey(), After: k.seen},
	}
	if k.full {
		all = append(all, Watching{Prefix: k.domain.prefix() + "block/", After: k.view.Revision, Freed: true})
	}
	return all
}

// Concerns reports whether the node is to act on an update of the part.
func (w Watching) Concerns(u Update) bool {
	return !w.Freed || slices.ContainsFunc(u.Entries, func(e Entry) bool {
		if e.Value == nil {
			return true
		}
		owner, err := decodeOwner(e.Value)
		return err == nil && owner.Idle
	})
}
