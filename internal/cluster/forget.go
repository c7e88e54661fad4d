package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrPresent is returned by Forget if the node is present.
var ErrPresent = errors.New("the node is present")

// Forget removes a node that will not come back and releases its keys in all domains. It
// returns the released keys. The registration goes first, in a transaction that depends on
// the node's absence; each change that the node may have sent before depends on it.
// Forget can be repeated after an error.
//
// The caller asserts that the node's containers do not run. No store can know this.
func Forget(ctx context.Context, store Store, id NodeID) (released []string, err error) {
	for range attempts {
		var some []string
		some, err = forgetOnce(ctx, store, id)
		released = append(released, some...)
		if !errors.Is(err, ErrChanged) {
			return released, err
		}
	}
	return released, err
}

func forgetOnce(ctx context.Context, store Store, id NodeID) (released []string, err error) {
	s, err := store.List(ctx, "domain/", nodePrefix+string(id), alivePrefix+string(id), rowsOf(id))
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.Entries, func(e Entry) bool { return e.Key == alivePrefix+string(id) }) {
		return nil, fmt.Errorf("forget node %q: %w; stop it first", id, ErrPresent)
	}
	key := nodePrefix + string(id)
	if i := slices.IndexFunc(s.Entries, func(e Entry) bool { return e.Key == key }); i >= 0 {
		absent := Change{Key: alivePrefix + string(id)}
		_, err := store.Swap(ctx, absent, Change{Key: key, Was: s.Entries[i].Revision, Action: Delete})
		if err != nil {
			return nil, fmt.Errorf("forget node %q: %w", id, err)
		}
	}
	for _, e := range s.Entries {
		if !strings.HasPrefix(e.Key, "domain/") {
			continue
		}
		if owner, err := decodeOwner(e.Value); err != nil || owner.Node != id {
			continue
		}
		if _, err := store.Swap(ctx, Change{Key: key}, Change{Key: e.Key, Was: e.Revision, Action: Delete}); err != nil {
			return released, fmt.Errorf("release %q of node %q: %w; forget it again", e.Key, id, err)
		}
		released = append(released, e.Key)
	}
	return released, forgetRows(ctx, store, id, s)
}

// forgetRows deletes the attachments that a forgotten node had published.
func forgetRows(ctx context.Context, store Store, id NodeID, s Snapshot) error {
	var changes []Change
	for _, e := range s.Entries {
		if strings.HasPrefix(e.Key, rowsOf(id)) {
			changes = append(changes, Change{Key: e.Key, Was: e.Revision, Action: Delete})
		}
	}
	for some := range slices.Chunk(changes, rowsAtOnce) {
		if _, err := store.Swap(ctx, append(some, Change{Key: nodePrefix + string(id)})...); err != nil {
			return fmt.Errorf("delete the attachments of node %q: %w; forget it again", id, err)
		}
	}
	return nil
}
