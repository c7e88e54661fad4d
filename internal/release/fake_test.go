package release

import (
	"errors"
	"fmt"
	"strings"

	"berth/bpf"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

var errInjected = errors.New("injected")

// fake is a simulated kernel: namespaces with links by name, parents, counters.
// Call number failAt fails, counted from 1.
type fake struct {
	calls, failAt int
	log           []string

	namespaces map[int]map[string]network.LinkInfo
	parents    map[string]*network.Parent
	occupants  map[int][]network.Occupant
	keys       map[specs.MAC]uint32
	counters   map[uint32]specs.Counters
	before     func(what string) // called before each call takes effect
	lacking    bool              // whether counts of earlier maps are missing
}

func newFake() *fake {
	return &fake{
		namespaces: map[int]map[string]network.LinkInfo{}, parents: map[string]*network.Parent{},
		occupants: map[int][]network.Occupant{}, keys: map[specs.MAC]uint32{}, counters: map[uint32]specs.Counters{},
	}
}

// put makes the link and the counters of a recorded attachment.
func (f *fake) put(a *state.Attachment) {
	if f.namespaces[a.NSID] == nil {
		f.namespaces[a.NSID] = map[string]network.LinkInfo{}
	}
	f.namespaces[a.NSID][a.Interface] = network.LinkInfo{
		Index: a.LinkIndex, Name: a.Interface, Alias: a.Alias(), MAC: a.MAC, ParentIndex: a.ParentIndex,
	}
	f.keys[a.MAC] = a.Slot
	f.counters[a.Slot] = someCounters
	if a.VLAN != 0 {
		f.parents[a.Parent] = &network.Parent{Name: a.Parent, Index: a.ParentIndex, TrunkIndex: a.TrunkIndex, VLAN: a.VLAN}
	}
}

var someCounters = specs.Counters{Receive: specs.Traffic{Local: specs.Casts{Unicast: specs.Count{Packets: 3, Bytes: 300}}}}

func (f *fake) recordCall(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	f.calls++
	f.log = append(f.log, what)
	if f.before != nil {
		f.before(what)
	}
	if f.calls == f.failAt {
		return fmt.Errorf("%s: %w", what, errInjected)
	}
	return nil
}

func (f *fake) LinkIn(nsid int, name string) (network.LinkInfo, error) {
	if err := f.recordCall("look"); err != nil {
		return network.LinkInfo{}, err
	}
	links, ok := f.namespaces[nsid]
	if !ok {
		return network.LinkInfo{}, network.ErrNoNamespace
	}
	for own, link := range links {
		if own == name || altName(link) == name {
			return link, nil
		}
	}
	return network.LinkInfo{}, network.ErrNoLink
}

// altName returns the alternative name of a link with an alias.
func altName(l network.LinkInfo) string {
	return strings.NewReplacer("berth:", "berth-", "/", "-").Replace(l.Alias)
}

func (f *fake) DeleteIn(nsid int, name string) error {
	return f.delete(nsid, func(l network.LinkInfo) bool { return altName(l) == name })
}

func (f *fake) DeleteAtIn(nsid, index int) error {
	return f.delete(nsid, func(l network.LinkInfo) bool { return l.Index == index })
}

func (f *fake) HoldsMAC(parentIndex int, mac specs.MAC) (bool, error) {
	if err := f.recordCall("parent's MACs"); err != nil {
		return false, err
	}
	for _, links := range f.namespaces {
		for _, l := range links {
			if l.ParentIndex == parentIndex && l.MAC == mac {
				return true, nil
			}
		}
	}
	return false, nil
}

func (f *fake) delete(nsid int, which func(network.LinkInfo) bool) error {
	if err := f.recordCall("delete link"); err != nil {
		return err
	}
	for name, link := range f.namespaces[nsid] {
		if which(link) {
			delete(f.namespaces[nsid], name)
			return nil
		}
	}
	return network.ErrNoLink
}

func (f *fake) Parent(name string) (*network.Parent, error) {
	if err := f.recordCall("parent"); err != nil {
		return nil, err
	}
	if p := f.parents[name]; p != nil {
		return p, nil
	}
	return nil, network.ErrNoLink
}

func (f *fake) Occupants(index int) ([]network.Occupant, error) {
	return f.occupants[index], f.recordCall("occupants")
}

func (f *fake) VLANsOn(index int) ([]string, error) {
	var names []string
	for name, p := range f.parents {
		if p.VLAN != 0 && p.TrunkIndex == index {
			names = append(names, name)
		}
	}
	return names, nil
}

func (f *fake) DeleteLink(index int) error {
	if err := f.recordCall("delete VLAN"); err != nil {
		return err
	}
	for name, p := range f.parents {
		if p.Index == index {
			delete(f.parents, name)
			return nil
		}
	}
	return network.ErrNoLink
}

func (f *fake) Unregister(e bpf.Endpoint) error {
	if err := f.recordCall("unregister"); err != nil {
		return err
	}
	if f.keys[e.MAC] == e.Slot {
		delete(f.keys, e.MAC)
	}
	return nil
}

// UnregisterNamespace is no step of [fake.call]: a failure of it is only logged.
func (f *fake) UnregisterNamespace(bpf.Endpoint) error { return nil }

func (f *fake) Counters(slot uint32) (specs.Counters, error) {
	return f.counters[slot], f.recordCall("counters")
}

func (f *fake) Violations(uint32) (map[specs.Kind]specs.Broken, error) {
	return map[specs.Kind]specs.Broken{specs.MACSpoof: {Packets: 2, Dropped: 1}}, f.recordCall("violations")
}

func (f *fake) Zero(slot uint32) error {
	if err := f.recordCall("zero"); err != nil {
		return err
	}
	delete(f.counters, slot)
	return nil
}

func (f *fake) LacksCounts() bool { return f.lacking }

func (f *fake) Slots() uint32 { return maxSlots }

func (f *fake) Close() error { return nil }

// releaser returns a Releaser on the fake.
func (f *fake) releaser(s *state.Store) *Releaser {
	return &Releaser{
		Store: s, Host: f,
		openMaps: func() (countMaps, error) { return f, nil },
		search:   func(*state.Attachment, bool, bool) (bool, error) { return false, nil },
	}
}
