package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"berth/agent/observe"
	"berth/bpf"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// The observer looks for new processes each seekPause, because a namespace that has no ID
// sends no notification, and lets notifications gather for observeGather. It looks for a
// better name of an interface each holderPause, until the interface is holderSettled old.
const (
	seekPause     = 50 * time.Millisecond
	observeGather = 10 * time.Millisecond
	holderPause   = time.Second
	holderSettled = 30 * time.Second
)

// Work that is repeated while interfaces come and go is bounded in its share of a processor: after
// it, the agent waits for a multiple of the time that it took. followShare leaves a new interface
// counted within a tenth of a second.
const (
	followShare = 3
	searchShare = 100
	rescanShare = 300
	retryShare  = 20
)

// pauseAfter returns the pause after work that took a time: share times as long, within bounds.
func pauseAfter(took time.Duration, share int, least, most time.Duration) time.Duration {
	return min(max(time.Duration(share)*took, least), most)
}

// observer keeps the records of observed interfaces. Its first group belongs to the goroutine
// of runObserver.
type observer struct {
	a          *Agent
	host       *network.Handle // strict
	scanner    *observe.Scanner
	namespaces *observe.Namespaces
	known      map[string]*state.Attachment // the live records, without the names that the namer adds
	held       map[int]*state.Attachment    // by NSID: a live record with a holder
	holdersAt  time.Time                    // of the next search for holders
	newNoted   time.Time                    // when a new record was noted last
	rescanAt   time.Time                    // of the next reading of all namespaces, without a notification
	duplicates map[string]bool              // addresses of attachments that observed interfaces have, as reported

	cookieOf func(*bpf.Maps, int, specs.MAC) (uint64, error) // CookieOf of the maps

	wakes chan struct{}
	mu    sync.Mutex
	news  news
	late  map[int]bool // IDs that the agent has assigned, until the notification of that is heard
}

// newObserver returns an observer that starts with the stored records.
func newObserver(ctx context.Context, a *Agent) (*observer, error) {
	host, err := network.NewStrictHandle()
	if err != nil {
		return nil, err
	}
	o := &observer{a: a, host: host, namespaces: observe.NewNamespaces(host), known: make(map[string]*state.Attachment),
		held:     make(map[int]*state.Attachment),
		cookieOf: (*bpf.Maps).CookieOf, wakes: make(chan struct{}, 1), news: newNews(), late: make(map[int]bool)}
	o.news.every, o.news.unheard = true, true
	if o.scanner, err = observe.NewScanner(host); err == nil {
		err = a.store.View(ctx, func(tx *state.Tx) error {
			for at, err := range tx.Observed() {
				if err != nil {
					return err
				}
				o.noteRecord(at)
			}
			return nil
		})
	}
	if err != nil {
		host.Close()
		return nil, fmt.Errorf("observe interfaces: %w", err)
	}
	return o, nil
}

// noteRecord remembers a live record.
func (o *observer) noteRecord(at *state.Attachment) {
	o.known[at.Key()] = at
	o.noteHolder(at)
	if isNew(at, holderSettled) {
		o.newNoted = time.Now()
	}
}

// noteHolder remembers a record whose holder the new interfaces of its namespace have: the first with a
// holder, until one has a container or machine.
func (o *observer) noteHolder(at *state.Attachment) {
	had := o.held[at.NSID]
	switch {
	case had != nil && had.LinkIndex != at.LinkIndex && (hasLastingHolder(had) || !hasLastingHolder(at)):
	case hasLastingHolder(at) || at.Holder != "":
		o.held[at.NSID] = at
	default:
		delete(o.held, at.NSID)
	}
}

// forgetRecord forgets a record that has ended.
func (o *observer) forgetRecord(at *state.Attachment) {
	delete(o.known, at.Key())
	if had := o.held[at.NSID]; had != nil && had.LinkIndex == at.LinkIndex {
		delete(o.held, at.NSID)
	}
}

// runObserver follows the interfaces until ctx is done.
func (o *observer) runObserver(ctx context.Context) {
	seek, all := time.NewTicker(seekPause), time.NewTicker(resync)
	defer seek.Stop()
	defer all.Stop()
	gather := observeGather
	for {
		select {
		case <-ctx.Done():
			return
		case <-seek.C:
		case <-all.C:
			o.noteRound(time.Now())
		case <-o.wakes:
			select {
			case <-ctx.Done():
				return
			case <-time.After(gather):
			}
		}
		began := time.Now()
		failed := o.followChanges(ctx) != nil
		took := time.Since(began)
		gather = pauseAfter(took, followShare, observeGather, seekPause)
		seek.Reset(seekPause)
		if failed {
			seek.Reset(pauseAfter(took, retryShare, seekPause, resync))
		}
	}
}

// followChanges reads the links that have changed, and corrects the records. An error is a problem of
// the status until the next call succeeds.
func (o *observer) followChanges(ctx context.Context) error {
	o.mu.Lock()
	n := o.news
	o.news = newNews()
	o.mu.Unlock()
	began := time.Now()
	changed, err := o.readNamespaces(&n)
	if changed || o.wantsHolders() {
		if failed := o.correctRecords(ctx, &n); failed != nil {
			n.every, err = true, errors.Join(err, failed)
		}
	}
	if n.round {
		err = errors.Join(err, o.completeRecords(ctx))
	}
	if n.every {
		o.rescanAt = began.Add(pauseAfter(time.Since(began), rescanShare, 0, 10*resync))
	}
	if err != nil {
		o.keepNews(&n)
	}
	if ctx.Err() == nil && (err != nil || changed || n.round) {
		o.a.troubles.setProblem("interfaces that berth did not create may be missing", oneLine(err))
	}
	return err
}

// wantsHolders reports whether a new interface has no container yet and a search is due: an
// engine makes the interface before the container's process.
func (o *observer) wantsHolders() bool {
	if time.Now().Before(o.holdersAt) || time.Since(o.newNoted) >= holderSettled {
		return false
	}
	for _, at := range o.known {
		if !hasLastingHolder(at) && isNew(at, holderSettled) {
			return true
		}
	}
	return false
}

// isNew reports whether a record was made within a time. One of the far future was made before the
// clock was set back.
func isNew(at *state.Attachment, within time.Duration) bool {
	return time.Since(at.Created).Abs() < within
}

// correctRecords compares the interfaces with the records, and applies the difference.
func (o *observer) correctRecords(ctx context.Context, n *news) error {
	records, err := o.a.records.currentReading(ctx)
	if err != nil {
		return err
	}
	facts, err := o.a.host()
	if err != nil {
		return err
	}
	s := scan{found: o.scanner.Interfaces(), own: isOwnLink(records.all), now: time.Now(),
		renewed: n.renewed, unheard: n.unheard, parents: o.a.observedParents(&facts, records.all)}
	o.findHolders(&s, n.every)
	if p := planObserved(s, o.known); !p.isEmpty() {
		former := o.formerAddresses(&p)
		if err := o.applyPlan(ctx, &p); err != nil {
			return err
		}
		poke(o.a.networks.wakes)
		if err := o.a.assignAddresses(ctx, o.a.observed.keysWith(former)); err != nil {
			return err
		}
	}
	return o.reportDuplicates(&records)
}

// formerAddresses returns the addresses that interfaces have before their records are changed.
func (o *observer) formerAddresses(p *observedPlan) (all []netip.Addr) {
	for _, is := range p.changed {
		for _, one := range o.known[is.Key()].Addresses {
			all = append(all, one.Addr())
		}
	}
	return all
}

// findHolders searches for the holders of the namespaces with a new interface, or with one
// whose container is not known, and for the virtual machines behind macvtap interfaces. Between two
// searches a new interface has the holder of the known ones in its namespace.
func (o *observer) findHolders(s *scan, every bool) {
	search := o.wantsHolders() || every
	namespaces, cards := make(map[int]int), make(map[specs.MAC]bool)
	if !search && !s.unheard {
		s.held = o.held
	}
	for _, one := range s.found {
		if _, observed := s.parents[one.Link.ParentIndex]; !observed || s.own(one) {
			continue
		}
		was := o.known[(&state.Attachment{Observed: true, NSID: one.NSID, LinkIndex: one.Link.Index}).Key()]
		switch {
		case was == nil && (!one.Link.Up || s.heldBy(one.NSID) != nil), was != nil && (!search || hasLastingHolder(was)):
		case one.NSID != observe.Host:
			namespaces[one.NSID] = holderPID(was)
		case one.Link.Tap:
			cards[one.Link.MAC] = true
		}
	}
	if len(namespaces) > 0 {
		s.holders = observe.FindHolders(o.host, namespaces)
	}
	if len(cards) > 0 {
		s.guests = observe.FindGuests(o.host, cards)
	}
	if search {
		o.holdersAt = time.Now().Add(pauseAfter(time.Since(s.now), searchShare, holderPause, 10*holderPause))
	}
}

// observedParents returns the names of the parents on which interfaces are observed: those
// that the configuration names, and those of berth's networks and attachments.
func (a *Agent) observedParents(facts *hostFacts, all []*record) map[int]string {
	berths := make(map[int]bool)
	for _, r := range all {
		if !r.observed && r.isLive() {
			berths[r.parentIndex] = true
		}
	}
	if status := a.status.Load(); status != nil {
		for _, p := range status.Parents {
			berths[p.Index] = berths[p.Index] || len(p.Networks) > 0
		}
	}
	parents := make(map[int]string)
	for i := range facts.links {
		l := &facts.links[i]
		if !l.Loopback && (berths[l.Index] || a.config.Observes(append([]string{l.Name}, l.AltNames...)...)) {
			parents[l.Index] = l.Name
		}
	}
	return parents
}
