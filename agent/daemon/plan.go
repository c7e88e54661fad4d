package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"berth/bpf"
	"berth/network"
	"berth/specs"
)

// link is an interface of the host in the plan's form.
type link struct {
	index    int
	name     string
	altNames []string
	mac      specs.MAC
	ethernet bool
	trunk    int // index of the trunk, if it is a VLAN sub-interface
	vlan     int // 0 if not a VLAN
	up       bool
	service  bool // whether the VLAN is one of 802.1ad
}

// world is the current and the wanted state.
type world struct {
	networks []*specs.Network
	records  []*record
	links    []link
	facts    hostFacts
	attached map[int]bpf.Attachment // current programs, by interface index
	done     map[int]specs.MAC      // parents that this process has attached to, with the MAC at that time
	failed   map[int]string         // parents that it could not attach to, with the reason
	off      bool                   // detached on request
}

// plan lists the changes, and the state of the parents after them.
type plan struct {
	attach  []link
	detach  []int
	parents []specs.ParentStatus // ordered by name
}

// planParents compares the wanted with the current state. It is a pure function.
//
// A parent is wanted if a network names it or a live attachment is on it. Every agent
// attaches once to each wanted parent, also if programs are there, so that the programs are
// its own.
func planParents(w world) plan {
	wanted := w.wantedParents()
	var p plan
	for _, index := range slices.Sorted(maps.Keys(mergedIndexes(w.attached, w.done))) {
		if s := wanted.byIndex[index]; w.off || s == nil || s.Problem != "" {
			p.detach = append(p.detach, index)
		}
	}
	for _, l := range w.links {
		s := wanted.byIndex[l.index]
		if s == nil {
			continue
		}
		w.judgeParent(s, l)
		at := w.attached[l.index]
		if s.State != specs.ParentDetached && l.ethernet && (at.Kind == "" || at.Old || w.done[l.index] != l.mac) {
			p.attach = append(p.attach, l)
		}
	}
	p.parents = wanted.sortedStatuses()
	return p
}

// judgeParent sets the state of a parent that exists.
func (w *world) judgeParent(s *specs.ParentStatus, l link) {
	if !w.off {
		s.Attach = w.attached[l.index].Kind
	}
	switch {
	case w.off:
		s.State = specs.ParentDetached
	case !l.ethernet:
		s.State = specs.ParentFailed
	case w.failed[l.index] != "":
		s.State, s.Problem = specs.ParentFailed, w.failed[l.index]
	default:
		w.judgePrograms(s, w.attached[l.index])
	}
}

// judgePrograms sets the state of a parent at which no attach failed: it counts only if
// both programs are there and no other program gets frames before them.
func (w *world) judgePrograms(s *specs.ParentStatus, at bpf.Attachment) {
	s.Problem = aheadText(s.Name, at)
	switch {
	case at.Kind == "":
		s.State, s.Problem = specs.ParentFailed, fmt.Sprintf("parent %q: berth's programs are not attached", s.Name)
	case s.Problem != "":
		s.State = specs.ParentFailed
	default:
		s.State = specs.ParentCounting
	}
}

// parentSet holds the wanted parents, present and missing.
type parentSet struct {
	byIndex map[int]*specs.ParentStatus
	missing map[string]*specs.ParentStatus
}

func (w *world) wantedParents() parentSet {
	set := parentSet{map[int]*specs.ParentStatus{}, map[string]*specs.ParentStatus{}}
	for _, n := range w.networks {
		if l, ok := w.linkOfParent(n.Parent); ok {
			addNetwork(set.presentParent(l), n.Name)
		} else {
			addNetwork(set.missingParent(n.Parent, w.hasTrunk(n.Parent)), n.Name)
		}
	}
	for _, a := range w.records {
		i := slices.IndexFunc(w.links, func(l link) bool { return l.index == a.parentIndex })
		if i < 0 || !a.isLive() {
			continue // its interface went with its parent
		}
		s := set.presentParent(w.links[i])
		s.Endpoints++
		addNetwork(s, a.Network)
	}
	return set
}

// linkOfParent returns the interface of a network's parent.
func (w *world) linkOfParent(parent string) (link, bool) {
	first := func(is func(l *link) bool) (link, error) {
		for i := range w.links {
			if is(&w.links[i]) {
				return w.links[i], nil
			}
		}
		return link{}, network.ErrNoLink
	}
	l, err := network.ResolveParent(parent,
		func(name string) (link, error) {
			return first(func(l *link) bool { return l.name == name || slices.Contains(l.altNames, name) })
		},
		func(trunk link, id int) (link, error) {
			return first(func(l *link) bool { return l.trunk == trunk.index && l.vlan == id && !l.service })
		})
	return l, err == nil
}

// hasTrunk reports whether parent is a VLAN of a trunk that exists.
func (w *world) hasTrunk(parent string) bool {
	trunk, _, isVLAN := specs.SplitVLAN(parent)
	if isVLAN {
		_, isVLAN = w.linkOfParent(trunk)
	}
	return isVLAN
}

func (set *parentSet) presentParent(l link) *specs.ParentStatus {
	s := set.byIndex[l.index]
	if s == nil {
		s = &specs.ParentStatus{Name: l.name, Index: l.index, MAC: l.mac, Networks: []string{}}
		if !l.ethernet {
			s.Problem = fmt.Sprintf("parent %q is not an Ethernet interface; name another one in the network's file", l.name)
		}
		set.byIndex[l.index] = s
	}
	return s
}

func (set *parentSet) missingParent(name string, onDemand bool) *specs.ParentStatus {
	s := set.missing[name]
	if s == nil {
		s = &specs.ParentStatus{Name: name, State: specs.ParentWaiting, Networks: []string{}}
		if onDemand {
			s.State = specs.ParentOnDemand
		}
		set.missing[name] = s
	}
	return s
}

func (set *parentSet) sortedStatuses() []specs.ParentStatus {
	all := []specs.ParentStatus{}
	for _, s := range set.byIndex {
		all = append(all, *s)
	}
	for _, s := range set.missing {
		if s.State == specs.ParentWaiting {
			s.Problem = fmt.Sprintf("parent %q of network %q does not exist; create it, or correct the network's file",
				s.Name, s.Networks[0])
		}
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b specs.ParentStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// addNetwork keeps the networks of a parent sorted, each once.
func addNetwork(s *specs.ParentStatus, network string) {
	at, has := slices.BinarySearch(s.Networks, network)
	if !has && network != "" {
		s.Networks = slices.Insert(s.Networks, at, network)
	}
}

func mergedIndexes(a map[int]bpf.Attachment, b map[int]specs.MAC) map[int]bool {
	all := make(map[int]bool, len(a)+len(b))
	for i := range a {
		all[i] = true
	}
	for i := range b {
		all[i] = true
	}
	return all
}
