package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrOlder is returned if the store lacks changes that this node has seen, because it was
// restored from a backup or is a new one.
var ErrOlder = errors.New("the store is older than this node's knowledge of it")

// note records the revision of the store, and reports whether it is older: this node has seen a
// higher revision, or a later registration of its own.
func (n *Self) note(v View) (older bool) {
	n.newest = max(n.newest, n.file.newest(), v.Revision)
	at := v.Nodes[n.file.Node].Revision
	return v.Revision < n.newest || at != 0 && at < n.file.Registered
}

func (k *Keeper) olderError(v View) error {
	return fmt.Errorf("%w: its revision is %d, and this node has seen %d; this node writes its own blocks "+
		"to it again, and takes no others until the revision is higher; see docs/cluster.md, \"etcd is lost\"",
		ErrOlder, v.Revision, k.newest)
}

// restoreKey returns the step for a key of the file whose claim in the store is not the one that
// this node made, or false if there is none.
//
//   - Without an owner, or with this node, it is taken again: only a store that was restored lacks
//     it while this node is registered.
//   - If it is idle at another node, it is taken, as it may be at any time.
//   - If another node took it earlier, it stays in use: that node had given it back before this
//     node took it, and will give it back again.
//   - If another node took it later, it is lost.
func restoreKey(node NodeID, key string, was int64, v View) (Step, bool) {
	c, claimed := v.Claims[key]
	own := c.Node == node
	switch {
	case !claimed || c.Idle || own && c.Revision != was:
		return Step{Verb: Take, Key: key, Was: c.Revision}, true
	case !own && (c.Revision >= was || c.Node == ""):
		return Step{Verb: Lose, Key: key, Was: c.Revision}, true
	}
	return Step{}, false
}

// planRestored returns the steps that write the keys of this node's file to an older store. They
// take no other block, because its owner may not have come back yet. They give back each key
// that the store gives to this node and the file does not list.
func (k *Keeper) planRestored(v View) (steps []Step) {
	held := k.held()
	for _, key := range slices.Sorted(maps.Keys(held)) {
		if s, ok := restoreKey(k.file.Node, key, held[key], v); ok {
			steps = append(steps, s)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(v.Claims)) {
		if c := v.Claims[key]; c.Node == k.file.Node && held[key] == 0 {
			steps = append(steps, Step{Verb: GiveBack, Key: key, Was: c.Revision})
		}
	}
	return steps
}
