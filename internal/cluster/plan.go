package cluster

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Situation is everything that Plan depends on.
type Situation struct {
	Node   NodeID
	Domain Domain
	Blocks *Blocks
	View   View // not older than the records in Held
	// Held are the revisions of the keys in the node's file: it uses these and no others.
	Held map[string]int64
	// Leased are the addresses that this node's containers have.
	Leased map[netip.Addr]bool
	// Wanted are the requested addresses, in the range or outside of it.
	Wanted []netip.Addr
	// EmptyFor is the time for which each held block has had no lease.
	EmptyFor map[string]time.Duration
	// AbsentFor is the time for which this node has seen no presence of another node.
	AbsentFor map[NodeID]time.Duration
	// Asked means that a container's start waits for an address.
	Asked   bool
	Options Options
}

// Options are the keys of a network's file.
type Options struct {
	KeepFree     int           // addresses to keep free for starts without the store
	IdleAfter    time.Duration // an empty block that is not needed goes back after this time
	ReclaimAfter time.Duration // idle blocks of nodes absent for this time are taken; 0 means never
}

// Step is one action of a plan.
type Step struct {
	Verb   Verb
	Key    string
	Was    int64  // the revision of the key in the view; 0 if it does not exist
	Absent NodeID // of Take: the owner of an idle block, which must still be absent
}

// Verb is the kind of a Step.
type Verb string

// The verbs of steps.
const (
	Take     Verb = "take"      // write the key, then use it
	GiveBack Verb = "give back" // stop using it, then delete the key
	Rest     Verb = "rest"      // stop using it, then mark it idle
	Lose     Verb = "lose"      // stop using it: the store has another owner, or none
)

// Plan returns the steps towards the blocks, static addresses and MAC prefix that this
// node should own, and whether the pool has no block left that it needs.
func Plan(s Situation) (steps []Step, full bool) {
	p := planner{Situation: s, held: maps.Clone(s.Held)}
	p.loseForeign()
	p.planBlocks()
	p.planStatics()
	p.planMAC()
	return p.steps, p.full
}

type planner struct {
	Situation
	held  map[string]int64 // Held less the keys that are lost
	steps []Step
	full  bool
}

func (p *planner) add(verb Verb, c Claim) {
	p.steps = append(p.steps, Step{Verb: verb, Key: c.Key, Was: c.Revision})
}

// loseForeign drops keys that the store no longer gives to this node. A key that it has at
// another revision is confirmed again: the file was not written after the last change.
func (p *planner) loseForeign() {
	for _, key := range slices.Sorted(maps.Keys(p.Held)) {
		s, ok := restoreKey(p.Node, key, p.Held[key], p.View)
		if !ok {
			continue
		}
		p.steps = append(p.steps, s)
		if s.Verb == Lose {
			delete(p.held, key)
		}
	}
}

func (p *planner) planBlocks() {
	p.takeLeased()
	p.takeWanted()
	free, want := 0, p.wantFree()
	for _, b := range p.heldBlocks() {
		free += p.Blocks.free(b, p.Leased)
	}
	if p.Asked {
		want = max(want, free+1) // another program may have the free ones, which the start has found
	}
	if free < want {
		p.takeBlocks(want - free)
		return
	}
	p.returnBlocks(free - want)
}

// takeLeased takes the blocks in which containers have addresses, even if it needs no more
// free ones: those that the store gives to this node, and those without an owner, which it
// had before it was forgotten.
func (p *planner) takeLeased() {
	for _, c := range p.unusedOwn() {
		if b, ok := p.Blocks.ofKey(p.Domain, c.Key); ok && p.leasedIn(b) {
			p.add(Take, c)
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(p.Leased), netip.Addr.Compare) {
		b, ok := p.Blocks.Of(a)
		key := p.Domain.blockKey(b)
		if ok && p.held[key] == 0 && !p.claimed(key) && !p.planned(key) {
			p.add(Take, Claim{Key: key})
		}
	}
}

// takeWanted takes the blocks of requested addresses, unless another node has them.
func (p *planner) takeWanted() {
	for _, a := range p.Wanted {
		b, inRange := p.Blocks.Of(a)
		key := p.Domain.blockKey(b)
		c := p.View.Claims[key]
		if inRange && p.held[key] == 0 && !p.planned(key) && (!p.claimed(key) || c.Node == p.Node) {
			p.add(Take, Claim{Key: key, Revision: c.Revision})
		}
	}
}

// planned reports whether a step for the key exists.
func (p *planner) planned(key string) bool {
	return slices.ContainsFunc(p.steps, func(s Step) bool { return s.Key == key && s.Verb != Lose })
}

// inUse reports whether an address of a block is leased or requested.
func (p *planner) inUse(b netip.Prefix) bool {
	return p.leasedIn(b) || slices.ContainsFunc(p.Wanted, b.Contains)
}

func (p *planner) leasedIn(b netip.Prefix) bool {
	return p.Blocks.free(b, p.Leased) < p.Blocks.Usable(b)
}

// wantFree returns the number of addresses to keep free: none on a quiet node of a network
// with reclaim_after, so that its blocks are idle if it never comes back.
func (p *planner) wantFree() int {
	if p.Options.ReclaimAfter == 0 || p.Asked || len(p.Leased) > 0 {
		return max(p.Options.KeepFree, 1)
	}
	for _, b := range p.heldBlocks() {
		if p.EmptyFor[p.Domain.blockKey(b)] < p.Options.IdleAfter {
			return max(p.Options.KeepFree, 1)
		}
	}
	return 0
}

// heldBlocks returns the blocks in the node's file that are not lost, in order.
func (p *planner) heldBlocks() (all []netip.Prefix) {
	for key := range p.held {
		if b, ok := p.Blocks.ofKey(p.Domain, key); ok {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return all
}

// takeBlocks takes blocks with at least need addresses: first those that the store gives
// to this node already, then unclaimed ones, then idle ones of absent nodes.
func (p *planner) takeBlocks(need int) {
	for _, c := range p.unusedOwn() {
		if b, ok := p.Blocks.ofKey(p.Domain, c.Key); ok && need > 0 && !p.inUse(b) {
			p.add(Take, c)
			need -= p.Blocks.free(b, p.Leased)
		}
	}
	need = p.takeUnclaimed(need)
	for _, c := range p.reclaimable() {
		if b, ok := p.Blocks.ofKey(p.Domain, c.Key); ok && need > 0 {
			p.steps = append(p.steps, Step{Verb: Take, Key: c.Key, Was: c.Revision, Absent: c.Node})
			need -= p.Blocks.Usable(b)
		}
	}
	p.full = need > 0
}

// maxReserved bounds the blocks without any usable address that a plan skips, as in an
// exclusion that is larger than any real pool.
const maxReserved = 1 << 16

func (p *planner) takeUnclaimed(need int) int {
	reserved := 0
	for b := range p.Blocks.Order(p.Node) {
		if need <= 0 || reserved > maxReserved {
			break
		}
		key := p.Domain.blockKey(b)
		if _, claimed := p.View.Claims[key]; claimed || p.held[key] != 0 || p.planned(key) {
			continue
		}
		n := p.Blocks.free(b, p.Leased)
		if n == 0 {
			reserved++
			continue
		}
		p.add(Take, Claim{Key: key})
		need -= n
	}
	return need
}

// unusedOwn returns the claims that the store gives to this node and its file does not:
// idle ones, and those of a claim whose answer was lost.
func (p *planner) unusedOwn() (all []Claim) {
	for key, c := range p.View.Claims {
		if _, recorded := p.Held[key]; c.Node == p.Node && !recorded {
			all = append(all, c)
		}
	}
	return sorted(all)
}

// reclaimable returns the idle blocks of nodes that have been absent for long enough.
func (p *planner) reclaimable() (all []Claim) {
	after := p.Options.ReclaimAfter
	for _, c := range p.View.Claims {
		if after > 0 && c.Idle && c.Node != p.Node && p.AbsentFor[c.Node] >= after {
			all = append(all, c)
		}
	}
	return sorted(all)
}

func sorted(all []Claim) []Claim {
	slices.SortFunc(all, func(a, b Claim) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

// returnBlocks gives back blocks with at most spare addresses, and lets the rest be idle on
// a quiet node.
func (p *planner) returnBlocks(spare int) {
	quiet := p.wantFree() == 0
	for _, c := range p.unusedOwn() {
		if b, ok := p.Blocks.ofKey(p.Domain, c.Key); ok && !(quiet && c.Idle) && !p.inUse(b) {
			p.add(GiveBack, c)
		}
	}
	kept := 0
	for _, b := range p.heldBlocks() {
		c := Claim{Key: p.Domain.blockKey(b), Revision: p.held[p.Domain.blockKey(b)]}
		n := p.Blocks.Usable(b)
		switch {
		case p.planned(c.Key) || p.inUse(b) || p.EmptyFor[c.Key] < p.Options.IdleAfter || n > spare:
		case quiet && kept < max(p.Options.KeepFree, 1):
			p.add(Rest, c)
			kept += n
		default:
			p.add(GiveBack, c)
			spare -= n
		}
	}
}
