package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Leases is the node's own lease database. The hook leases addresses of open keys alone.
type Leases interface {
	// Reset opens exactly these keys.
	Reset(keys []string) error
	Open(key string) error
	// Close returns after no further address of the key can be leased. Unless force is
	// set, it changes nothing and returns false if one is leased.
	Close(key string, force bool) (bool, error)
	Leased() (map[netip.Addr]bool, error)
}

// Keeper keeps the keys of one domain. Its two rules make an address unique:
//
//   - A node uses a key only if its file lists it, and lists it only after the store has
//     confirmed this node's own change of the key.
//   - A node strikes a key from its file before it sends a change that can end its
//     ownership. To use the key again it changes it again, so that an earlier change that
//     is still on its way finds another revision, and fails.
//
// The methods of a Self and of its keepers are called by one goroutine.
type Keeper struct {
	*Self
	leases  Leases
	domain  Domain
	blocks  *Blocks
	pool    PoolText
	options Options
	now     func() time.Duration

	opened  bool // the keys in the file are open
	empty   map[string]time.Duration
	present map[NodeID]time.Duration
	view    View  // of the last round
	stale   bool  // this node has changed the store since
	seen    int64 // the revision of the last answer
	full    bool  // at the last round, the pool had no block that this node needs
	// Wanted are the requested addresses: static ones outside of the range, and addresses
	// of the range whose blocks this node takes if they have no owner.
	Wanted []netip.Addr
	// Asked means that a container's start waits for an address.
	Asked bool
}

// Config is everything that a Keeper depends on.
type Config struct {
	Leases  Leases
	Domain  Domain
	Blocks  *Blocks
	Pool    PoolText
	Options Options
	Now     func() time.Duration // the time since boot (CLOCK_BOOTTIME)
}

// Keep returns the keeper of a domain. No key is open before its first round.
func (n *Self) Keep(c Config) *Keeper {
	k := &Keeper{Self: n, leases: c.Leases, domain: c.Domain, blocks: c.Blocks, pool: c.Pool,
		options: c.Options, now: c.Now, empty: map[string]time.Duration{}, present: map[NodeID]time.Duration{}}
	n.keepers = append(n.keepers, k)
	return k
}

// End ends the use of a keeper. The keys of its domain stay in the node's file.
func (k *Keeper) End() {
	k.keepers = slices.DeleteFunc(k.keepers, func(other *Keeper) bool { return other == k })
}

// Blocks returns the blocks of the pool.
func (k *Keeper) Blocks() *Blocks { return k.blocks }

// View returns the content of the store at the last round.
func (k *Keeper) View() View { return k.view }

// Due reports whether a round would change something, as far as the content of the store at
// the last round shows.
func (k *Keeper) Due() (bool, error) {
	if !k.opened || k.dirty || k.stale || k.view.Claims == nil {
		return true, nil
	}
	steps, full, err := k.plan(k.view)
	return len(steps) > 0 || full && k.Asked, err
}

// Start opens the keys of the node's file: after one round with the store or, if the store
// does not answer until ctx ends, without it. It returns the round's error.
func (k *Keeper) Start(ctx context.Context) error {
	err := k.Round(ctx)
	if err == nil || isIdentity(err) {
		return err
	}
	return errors.Join(err, k.open())
}

// attempts bounds the plans of one round if other nodes change the store meanwhile.
const attempts = 8

// Round brings this node's keys to the state that Plan wants.
func (k *Keeper) Round(ctx context.Context) error {
	for range attempts {
		err := k.roundOnce(ctx)
		if isIdentity(err) {
			return errors.Join(err, k.Renounce(err))
		}
		if !errors.Is(err, ErrChanged) {
			return err
		}
		k.counts.Conflicts++
	}
	return fmt.Errorf("claim blocks of domain %q: other nodes were sooner %d times: %w", k.domain, attempts, ErrChanged)
}

// Touch checks this node's registration and the pool's text, in place of a round if nothing is
// due. It reads three keys, so its cost does not grow with the number of nodes.
func (k *Keeper) Touch(ctx context.Context) error {
	v, err := k.readView(ctx, k.domain.poolKey(), nodePrefix+string(k.file.Node), alivePrefix+string(k.file.Node))
	if err != nil {
		return err
	}
	if v.Older {
		return k.olderError(v)
	}
	if err := k.register(ctx, v); isIdentity(err) {
		return errors.Join(err, k.Renounce(err))
	} else if err != nil {
		return err
	}
	if v.Pool.Revision != k.view.Pool.Revision {
		k.stale = true // a round compares it
	}
	return nil
}

// readView returns the entries below prefixes.
func (k *Keeper) readView(ctx context.Context, prefixes ...string) (View, error) {
	snapshot, err := k.store.List(ctx, prefixes...)
	if err != nil {
		return View{}, fmt.Errorf("read domain %q: %w", k.domain, err)
	}
	v := NewView(k.domain, k.blocks, snapshot)
	v.Older = k.note(v)
	k.seen = snapshot.Revision
	return v, nil
}

func (k *Keeper) roundOnce(ctx context.Context) error {
	v, err := k.readView(ctx, k.domain.prefix(), nodePrefix, alivePrefix)
	if err != nil {
		return err
	}
	k.view, k.stale = v, false
	if err := k.register(ctx, v); err != nil {
		return err
	}
	pool, err := k.agree(ctx, v)
	if err != nil {
		return err
	}
	steps, full, err := k.plan(v)
	if err != nil {
		return err
	}
	if v.Older {
		steps, full = k.planRestored(v), false
	}
	k.full = full
	for _, s := range steps {
		k.stale = true
		if err := k.apply(ctx, s, pool); err != nil {
			return fmt.Errorf("%s %q: %w", s.Verb, s.Key, err)
		}
	}
	if err := k.open(); err != nil {
		return err
	}
	switch {
	case v.Older:
		return k.olderError(v)
	case !full:
		return nil
	}
	return &FullError{Domain: k.domain, Range: k.pool.Range}
}

// FullError is returned if a node needs a block and every block has an owner.
type FullError struct {
	Domain Domain
	Range  string
}

// Error implements error.
func (e *FullError) Error() string {
	return fmt.Sprintf("every block of domain %q in %s has an owner; enlarge ip_range, or release the blocks "+
		"of dead nodes: berth cluster forget NODE", e.Domain, e.Range)
}

// open opens the keys of the file, and no others. A key that is taken later is opened then.
func (k *Keeper) open() error {
	if k.dirty {
		if err := k.save(k.file.clone()); err != nil {
			return err
		}
	}
	if err := k.leases.Reset(slices.Sorted(maps.Keys(k.held()))); err != nil {
		return fmt.Errorf("open this node's blocks: %w", err)
	}
	k.opened = true
	return nil
}

// held returns the keys of the domain in the node's file.
func (k *Keeper) held() map[string]int64 {
	all := map[string]int64{}
	for key, revision := range k.file.Held {
		if strings.HasPrefix(key, k.domain.prefix()) {
			all[key] = revision
		}
	}
	return all
}

func (k *Keeper) plan(v View) ([]Step, bool, error) {
	leased, err := k.leases.Leased()
	if err != nil {
		return nil, false, err
	}
	steps, full := Plan(Situation{Node: k.file.Node, Domain: k.domain, Blocks: k.blocks, View: v,
		Held: k.held(), Leased: leased, Wanted: k.Wanted, Asked: k.Asked, Options: k.options,
		EmptyFor: k.emptyFor(leased), AbsentFor: k.absentFor(v)})
	return steps, full, nil
}

// emptyFor returns the time for which each held block has had no lease, as far as this
// process has seen.
func (k *Keeper) emptyFor(leased map[netip.Addr]bool) map[string]time.Duration {
	now, all := k.now(), map[string]time.Duration{}
	for key := range k.held() {
		b, ok := k.blocks.ofKey(k.domain, key)
		if !ok || k.blocks.free(b, leased) < k.blocks.Usable(b) {
			delete(k.empty, key)
			continue
		}
		if _, known := k.empty[key]; !known {
			k.empty[key] = now
		}
		all[key] = now - k.empty[key]
	}
	return all
}

// absentFor returns the time for which this process has seen no presence of each node.
func (k *Keeper) absentFor(v View) map[NodeID]time.Duration {
	now, all := k.now(), map[NodeID]time.Duration{}
	for id, n := range v.Nodes {
		if _, known := k.present[id]; n.Alive != "" || !known {
			k.present[id] = now
		}
		all[id] = now - k.present[id]
	}
	maps.DeleteFunc(k.present, func(id NodeID, _ time.Duration) bool { _, known := v.Nodes[id]; return !known })
	return all
}
