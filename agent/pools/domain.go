package pools

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// idleAfter is the time after which an empty block, or a static address, that is not needed
// goes back.
const idleAfter = 10 * time.Minute

// domain is a pool that this node takes part in.
type domain struct {
	name    cluster.Domain
	network string // one with this pool
	keeper  *cluster.Keeper
	pool    cluster.PoolText
	options cluster.Options
	started bool
	rounded time.Duration                // when the last round or touch ended
	whole   time.Duration                // when the last round ended
	failed  bool                         // in it, a request failed
	wanted  map[netip.Addr]time.Duration // requested addresses, and when they were last needed
	trouble string                       // as in the database
	news    atomic.Bool                  // a watch has seen a change
	err     error                        // of the last round

	stickyNetworks map[string]bool // by name
	formerSeen     int64           // the revision at which the former addresses were read; 0 if they were not
	formerIDs      map[string]bool // of the former addresses in etcd, also of those that this node has published
	formerTrim     bool            // this node has published a former address since it last deleted the oldest
	former         formerNews
}

// formerNews are the changes of former addresses that a watch has seen.
type formerNews struct {
	sync.Mutex
	changed []cluster.Entry
	lost    atomic.Bool // changes may be missing
}

func (f *formerNews) add(all []cluster.Entry) {
	f.Lock()
	defer f.Unlock()
	f.changed = append(f.changed, all...)
	if len(f.changed) > cluster.MaxFormer {
		f.changed = nil // reading all of them is less work
		f.lost.Store(true)
	}
}

// domainPart is the part of a domain's problems.
func domainPart(name cluster.Domain) string { return fmt.Sprintf("domain %q", name) }

// currentDomains returns the domains of the network files, and ends those without one.
func (m *Member) currentDomains() (all []*domain) {
	want := map[cluster.Domain][]*specs.Network{}
	for _, n := range m.readNetworks() {
		want[cluster.Domain(n.Domain)] = append(want[cluster.Domain(n.Domain)], n)
	}
	for name := range m.named {
		if want[name] == nil {
			m.Problem(domainPart(name), nil)
			m.Problem(formerPart(name), m.dropFormer(name))
		}
	}
	m.named = map[cluster.Domain]bool{}
	for name := range want {
		m.named[name] = true
	}
	for name, d := range m.domains {
		if !m.named[name] {
			d.keeper.End()
			delete(m.domains, name)
			m.unswept = true // the answer to its last claim may be lost
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if d := m.domainOf(name, want[name]); d != nil {
			all = append(all, d)
		}
	}
	return all
}

// domainOf returns the domain of networks with one pool, or nil if their files differ.
func (m *Member) domainOf(name cluster.Domain, networks []*specs.Network) *domain {
	part := domainPart(name)
	first := networks[0]
	text := cluster.NewPoolText(first.Subnets[0], first.Block)
	options := optionsOf(first)
	for _, n := range networks[1:] {
		if !reflect.DeepEqual(cluster.NewPoolText(n.Subnets[0], n.Block), text) {
			m.Problem(part, fmt.Errorf("networks %q and %q have it with different pools; "+
				"make the files alike, or use two domains", first.Name, n.Name))
			return nil
		}
		more := optionsOf(n)
		options.KeepFree = max(options.KeepFree, more.KeepFree)
		options.ReclaimAfter = max(options.ReclaimAfter, more.ReclaimAfter)
	}
	d := m.domains[name]
	if d != nil && reflect.DeepEqual(d.pool, text) && d.options == options {
		d.stickyNetworks = stickyNetworksOf(networks)
		return d
	}
	if d != nil {
		d.keeper.End()
	}
	blocks, err := cluster.NewBlocks(ipam.NewPool(first.Name, first.Subnets[0], nil), first.Block)
	if err != nil {
		m.Problem(part, err)
		return nil
	}
	d = &domain{name: name, network: first.Name, pool: text, options: options, wanted: map[netip.Addr]time.Duration{},
		stickyNetworks: stickyNetworksOf(networks)}
	d.keeper = m.self.Keep(cluster.Config{Leases: &parts{m.Store, name, blocks}, Domain: name, Blocks: blocks,
		Pool: text, Options: options, Now: state.SinceBoot})
	m.domains[name] = d
	return d
}

func optionsOf(n *specs.Network) cluster.Options {
	o := cluster.Options{KeepFree: *n.KeepFree, IdleAfter: idleAfter}
	if n.ReclaimAfter != nil {
		o.ReclaimAfter = time.Duration(*n.ReclaimAfter)
	}
	return o
}

// keepDomain makes a round with etcd if one is due, answers the wishes of starts, and returns
// the time until the next round.
func (m *Member) keepDomain(ctx context.Context, d *domain) time.Duration {
	part := domainPart(d.name)
	wishes, err := m.readDemand(d)
	var due bool
	if err == nil {
		due, err = d.due(len(wishes) > 0, m.refresh)
	}
	news := d.news.Swap(false) || m.failed() && state.SinceBoot()-d.rounded >= retry
	if left := m.refresh - (state.SinceBoot() - d.rounded); !due && !news && err == nil && left > 0 {
		return left
	}
	due = due || news && d.err != nil
	if err == nil {
		d.err = m.makeRound(ctx, d, due)
		err = m.explain(d.err)
	}
	m.Problem(part, err)
	m.Problem("the answer to a container's start", m.answerWishes(d, wishes, err))
	if d.failed {
		return retry
	}
	if due, _ := d.keeper.Due(); due && err == nil {
		return again
	}
	return m.refresh
}

// readDemand reads the wishes of starts, and sets the addresses that the keeper is to have.
func (m *Member) readDemand(d *domain) (wishes []netip.Addr, err error) {
	var leased []netip.Addr
	err = m.Store.View(context.Background(), func(tx *state.Tx) error {
		wishes = lease.Wishes(tx, string(d.name))
		leased, err = lease.SharedAddresses(tx, string(d.name))
		return err
	})
	now := state.SinceBoot()
	for _, a := range slices.Concat(wishes, leased) {
		if a.IsValid() && (d.wanted[a] != 0 || slices.Contains(wishes, a)) {
			d.wanted[a] = now
		}
	}
	maps.DeleteFunc(d.wanted, func(_ netip.Addr, last time.Duration) bool { return now-last > idleAfter })
	d.keeper.Wanted = slices.SortedFunc(maps.Keys(d.wanted), netip.Addr.Compare)
	d.keeper.Asked = slices.ContainsFunc(wishes, func(a netip.Addr) bool { return !a.IsValid() })
	return wishes, err
}

// due reports whether a round is due: this machine has changed, or the last one is long ago or
// failed. With reclaim_after, each refresh looks at the presence of others.
func (d *domain) due(wished bool, refresh time.Duration) (bool, error) {
	now := state.SinceBoot()
	since := now - d.rounded
	switch {
	case !d.started || wished || d.failed && since >= retry || now-d.whole >= wholeRefresh:
		return true, nil
	case d.err != nil || d.options.ReclaimAfter > 0:
		return since >= refresh, nil
	}
	return d.keeper.Due()
}

// makeRound makes a round of the keeper, or only touches etcd if none is due. The first round
// also opens the parts of the node's file, if etcd does not answer.
func (m *Member) makeRound(ctx context.Context, d *domain, due bool) error {
	within, round := askWithin, d.keeper.Round
	switch {
	case !due:
		round = d.keeper.Touch
	case !d.started:
		within, round = startWithin, d.keeper.Start
	}
	ctx, stop := context.WithTimeout(ctx, within)
	defer stop()
	began := time.Now()
	err := round(ctx)
	if !due && errors.Is(err, cluster.ErrOlder) {
		due, err = true, d.keeper.Round(ctx)
	}
	m.latency = time.Since(began)
	if due {
		d.whole = state.SinceBoot()
	}
	d.started, d.rounded, d.failed = true, state.SinceBoot(), !settled(err) || errors.Is(err, cluster.ErrAlive)
	return err
}

// settled reports whether an error is of berth's own rules, so that the same round would end with it
// again.
func settled(err error) bool {
	var full *cluster.FullError
	var differs *cluster.DifferenceError
	rules := []error{cluster.ErrChanged, cluster.ErrCloned, cluster.ErrAlive, cluster.ErrForgotten, cluster.ErrOlder}
	if slices.ContainsFunc(rules, func(rule error) bool { return errors.Is(err, rule) }) {
		return true
	}
	return err == nil || errors.As(err, &full) || errors.As(err, &differs)
}

// answerWishes records why the node has no more, if it has not, and deletes the wishes.
func (m *Member) answerWishes(d *domain, wishes []netip.Addr, why error) error {
	trouble := ""
	if why != nil {
		trouble = why.Error()
	}
	if len(wishes) == 0 && trouble == d.trouble {
		return nil
	}
	err := m.Store.Update(context.Background(), func(tx *state.Tx) error {
		for _, a := range wishes {
			if err := lease.AnswerWish(tx, string(d.name), a); err != nil {
				return err
			}
		}
		return lease.SetTrouble(tx, string(d.name), trouble)
	})
	if err == nil {
		d.trouble = trouble
	}
	return err
}
