package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"berth/agent/observe"
	"berth/internal/state"
	"berth/specs"
)

// observedPlan lists the changes of the records of observed interfaces.
type observedPlan struct {
	ended   []*state.Attachment // as known
	changed []*state.Attachment // as they are now; Created is that of the known one
	created []*state.Attachment
}

func (p *observedPlan) isEmpty() bool { return len(p.ended)+len(p.changed)+len(p.created) == 0 }

// scan is one scan of the interfaces, with the facts on which the records of observed ones are based.
type scan struct {
	found   []*observe.Interface
	own     func(*observe.Interface) bool // whether berth created an interface
	parents map[int]string                // the names of the parents that are observed
	holders map[int]observe.Holder        // by NSID; only those of the namespaces that were searched
	guests  map[specs.MAC]observe.Holder  // of the host's macvtap interfaces; only those that were searched and found
	held    map[int]*state.Attachment     // by NSID: a known record with a holder; nil if all namespaces were searched
	renewed map[int]bool                  // the NSIDs that another namespace has now
	unheard bool                          // the end of a namespace may have been missed
	now     time.Time
}

// planObserved compares the interfaces that were found with the known records, by key. It is
// a pure function.
//
// An interface that is down and not known sends nothing, and an engine may still change its
// MAC, so it has no record yet.
func planObserved(s scan, known map[string]*state.Attachment) (p observedPlan) {
	seen := make(map[string]bool, len(known))
	for _, one := range s.found {
		parent, wanted := s.parents[one.Link.ParentIndex]
		if !wanted || s.own(one) {
			continue
		}
		is := s.recordOf(one, parent)
		key := is.Key()
		was := known[key]
		switch {
		case was != nil && s.isSameLink(was, &is):
			is.Created = was.Created
			s.keepHolder(was, &is, one)
			if !equalObserved(was, &is) {
				p.changed = append(p.changed, new(is))
			}
			seen[key] = true
		case one.Link.Up:
			p.created = append(p.created, new(is))
		}
	}
	for key, was := range known {
		if !seen[key] {
			p.ended = append(p.ended, was)
		}
	}
	return p
}

// isSameLink reports whether a link with the namespace's ID and the index of a record is the
// recorded one: the kernel reuses both, and containers' interfaces have the same names. If the
// end of a namespace may have been missed, the MAC decides. All ipvlan interfaces of a parent
// have one MAC, so their names and addresses decide then.
func (s *scan) isSameLink(was, is *state.Attachment) bool {
	switch {
	case s.renewed[is.NSID], was.ParentIndex != is.ParentIndex, was.Driver != is.Driver:
		return false
	case !s.unheard:
		return was.MAC == is.MAC || was.Interface == is.Interface
	case was.Driver == specs.IPvlan:
		return was.Interface == is.Interface && slices.Equal(was.Addresses, is.Addresses)
	}
	return was.MAC == is.MAC
}

// equalObserved reports whether two records of an interface are equal but for the agent's own
// additions.
func equalObserved(a, b *state.Attachment) bool {
	return a.Interface == b.Interface && a.MAC == b.MAC && a.Mode == b.Mode && a.MTU == b.MTU && a.Parent == b.Parent &&
		a.Holder == b.Holder && slices.Equal(a.Containers, b.Containers) &&
		slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.SourceMACs, b.SourceMACs)
}

// recordOf returns the record of an interface. It is a value, because most records of a scan are equal to
// the known ones, and are not kept.
func (s *scan) recordOf(i *observe.Interface, parent string) state.Attachment {
	l := &i.Link
	holder, looked := s.holderOf(i)
	id, name := holderNames(i.NSID, holder)
	if known := s.heldBy(i.NSID); known != nil && !looked {
		id, name = known.Containers[0], known.Holder
	}
	return state.Attachment{
		Observed: true, NSID: i.NSID, LinkIndex: l.Index, Containers: []string{id}, Holder: name,
		Driver: l.Driver, Mode: l.Mode, IPvlanFlag: l.Flag, Parent: parent, ParentIndex: l.ParentIndex,
		SourceMACs: l.SourceMACs, Interface: l.Name, MAC: l.MAC, MTU: l.MTU,
		Addresses: append([]netip.Prefix{}, i.Addresses...), Phase: specs.PhaseAttached, Created: s.now,
	}
}

// keepHolder keeps the known holder if nothing better was found. A container or machine stays, as
// a later process of the namespace may belong to none.
func (s *scan) keepHolder(was, is *state.Attachment, i *observe.Interface) {
	holder, looked := s.holderOf(i)
	if !looked || hasLastingHolder(was) && !holder.IsLasting() {
		is.Containers, is.Holder = was.Containers, was.Holder
	}
}

// holderOf returns the holder of an interface, and whether one was searched.
func (s *scan) holderOf(i *observe.Interface) (h observe.Holder, looked bool) {
	if i.NSID == observe.Host {
		h, looked = s.guests[i.Link.MAC]
	} else {
		h, looked = s.holders[i.NSID]
	}
	return h, looked
}

// heldBy returns a known record with a holder in a namespace that was not searched, or nil.
func (s *scan) heldBy(nsid int) *state.Attachment {
	if s.renewed[nsid] || nsid == observe.Host {
		return nil
	}
	return s.held[nsid]
}

// hasLastingHolder reports whether the container or machine of an observed interface is known.
func hasLastingHolder(at *state.Attachment) bool {
	return isEngines(at) || observe.IsMachine(at.Containers[0])
}

// holderNames returns the ID and the name under which an observed interface is shown. If no
// container is known, the ID has a colon, which no engine's has.
func holderNames(nsid int, h observe.Holder) (id, name string) {
	switch {
	case h.ContainerID != "":
		return h.ContainerID, h.Name
	case h.Machine != "":
		return h.Machine, h.Name
	case nsid == observe.Host:
		return hostHolder, "host"
	case h.PID != 0:
		return fmt.Sprintf(pidForm, h.PID), h.Name
	case h.Name != "":
		return "netns:" + h.Name, h.Name
	}
	return fmt.Sprintf("nsid:%d", nsid), ""
}

// hostHolder is the ID of an observed interface in the host's own namespace.
const hostHolder = "netns:host"

// pidForm is the form of the ID of an observed interface that a process holds.
const pidForm = "pid:%d"

// holderPID returns the process that holds an observed interface, or 0 if no process or none
// yet is its holder.
func holderPID(at *state.Attachment) (pid int) {
	if at != nil {
		_, _ = fmt.Sscanf(at.Containers[0], pidForm, &pid) // it stays 0 for another form
	}
	return pid
}

// isOwnLink returns a function that reports whether berth created an interface: it has the
// alias of an attachment or of a host shim, or it is the link of a live attachment.
func isOwnLink(all []*record) func(*observe.Interface) bool {
	type mac struct {
		parent int
		mac    specs.MAC
	}
	aliases, recorded, macs := make(map[string]bool), make(map[linkID]bool), make(map[mac]bool)
	for _, r := range all {
		if r.observed {
			continue
		}
		aliases["berth:"+r.key] = true
		if r.isLive() {
			recorded[r.linkID()] = r.linkIndex != 0
			macs[mac{r.parentIndex, r.MAC}] = r.Driver == specs.Macvlan
		}
	}
	return func(i *observe.Interface) bool {
		return aliases[i.Link.Alias] || i.NSID == observe.Host && strings.HasPrefix(i.Link.Alias, "berth:host/") ||
			recorded[linkID{i.NSID, i.Link.Index}] || !i.IsIPvlan() && macs[mac{i.Link.ParentIndex, i.Link.MAC}]
	}
}
