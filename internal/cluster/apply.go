package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// apply carries out one step of a plan. pool is the revision of the pool's text, on which
// every change depends, as it does on this node's registration.
func (k *Keeper) apply(ctx context.Context, s Step, pool int64) error {
	conditions := []Change{
		{Key: nodePrefix + string(k.file.Node), Was: k.file.Registered},
		{Key: k.domain.poolKey(), Was: pool},
	}
	if s.Absent != "" {
		conditions = append(conditions, Change{Key: alivePrefix + string(s.Absent)})
	}
	swap := func(c Change) (int64, error) { return k.store.Swap(ctx, append(conditions, c)...) }
	switch s.Verb {
	case Take:
		return k.take(s, swap)
	case GiveBack:
		return k.endUse(s, swap, Change{Key: s.Key, Was: s.Was, Action: Delete})
	case Rest:
		value := encode(ownerValue{Node: k.file.Node, Idle: true})
		return k.endUse(s, swap, Change{Key: s.Key, Was: s.Was, Action: Put, Value: value})
	}
	return k.strike(s.Key, true)
}

// take changes the key, records it and opens it, in this order.
func (k *Keeper) take(s Step, swap func(Change) (int64, error)) error {
	value := encode(ownerValue{Node: k.file.Node})
	revision, err := swap(Change{Key: s.Key, Was: s.Was, Action: Put, Value: value})
	if err != nil {
		return err
	}
	k.counts.Claims++
	f := k.file.clone()
	f.Held[s.Key] = revision
	if err := k.save(f); err != nil {
		return err
	}
	if !k.opened {
		return nil // by the caller, together with the others
	}
	return k.leases.Open(s.Key)
}

// endUse closes and strikes the key, then sends the change. It does nothing if an address
// was leased since the plan.
func (k *Keeper) endUse(s Step, swap func(Change) (int64, error), c Change) error {
	err := k.strike(s.Key, false)
	if errors.Is(err, errLeased) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err = swap(c); err == nil {
		k.counts.Returns++
	}
	return err
}

var errLeased = errors.New("an address is leased")

// strike closes a key and removes it from the file. If the file cannot be written, the
// node still owns the key, and opens it again after it has written the file.
func (k *Keeper) strike(key string, force bool) error {
	closed, err := k.leases.Close(key, force)
	if err != nil {
		return err
	}
	if !closed {
		return errLeased
	}
	delete(k.empty, key)
	if _, held := k.file.Held[key]; !held && !k.dirty {
		return nil
	}
	f := k.file.clone()
	delete(f.Held, key)
	if err := k.save(f); err != nil {
		k.opened = false
		return err
	}
	return nil
}

// DifferenceError is returned if another node's network file differs from this node's.
type DifferenceError struct {
	Domain      Domain
	Differences []string
}

// Error implements error.
func (e *DifferenceError) Error() string {
	return fmt.Sprintf("domain %q has another pool than this node's network file: %s; "+
		"make the files alike, or use another domain",
		e.Domain, strings.Join(e.Differences, "; "))
}

// agree stores the pool's text if the domain has none, and compares it otherwise. It
// returns the text's revision.
func (k *Keeper) agree(ctx context.Context, v View) (int64, error) {
	key := k.domain.poolKey()
	if v.Pool.Revision == 0 {
		return k.store.Swap(ctx, Change{Key: nodePrefix + string(k.file.Node), Was: k.file.Registered},
			Change{Key: key, Action: Put, Value: encode(k.pool)})
	}
	stored, err := decodePool(v.Pool.Value)
	if err != nil {
		return 0, fmt.Errorf("key %q of the store is invalid: %w", key, err)
	}
	if d := differences(stored, k.pool); len(d) > 0 {
		return 0, &DifferenceError{Domain: k.domain, Differences: d}
	}
	return v.Pool.Revision, nil
}

// differences describes each key that differs, the store's value first.
func differences(stored, own PoolText) (all []string) {
	for _, c := range []struct {
		key         string
		theirs, our any
	}{
		{"subnet", stored.Subnet, own.Subnet}, {"ip_range", stored.Range, own.Range},
		{"gateway", stored.Gateway, own.Gateway}, {"block", stored.Block, own.Block},
		{"exclude", slices.Sorted(slices.Values(stored.Exclude)), slices.Sorted(slices.Values(own.Exclude))},
	} {
		theirs, err1 := json.Marshal(c.theirs)
		our, err2 := json.Marshal(c.our)
		if err1 != nil || err2 != nil || string(theirs) != string(our) {
			all = append(all, fmt.Sprintf("%s is %s there and %s here", c.key, theirs, our))
		}
	}
	return all
}
