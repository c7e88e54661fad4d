package daemon

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"berth/agent"
	"berth/agent/metrics"
	"berth/internal/release"
	"berth/internal/state"
	"berth/specs"
)

// record is the agent's copy of an attachment in memory, less than half the attachment's
// size. Its first group does not change. Facts that few attachments have are apart.
type record struct {
	metrics.Endpoint
	sum         uint64 // hash of the stored attachment, which detects changes
	storedKey   string // the key of the record in the database
	key         string // of the attachment
	cookie      uint64 // of the namespace
	ended       int64  // ns since 1970; 0 if live
	parentIndex int
	nsid        int32 // the host's number of the namespace
	linkIndex   int32 // of the interface there
	phase       specs.Phase
	past        *past // nil if there are none
	rare        *rare // nil if there are none
	slot        uint32
	turn        uint32 // number of the reading that found it last; belongs to the records
	sibling     bool   // whether its interface needs the sibling program
	ingress     bool   // whether it needs a program on the ingress of its interface, if its parent enforces
	apart       bool   // its ipvlan flag forbids unicast frames between siblings
	enforces    bool   // its network enforces rules
	noHeal      bool   // its network has heal = false
	lost        bool   // its interface is being made again
	observed    bool   // berth did not create the interface
	unnamed     bool   // whether its engine was not asked yet for one of its containers

	compared   atomic.Bool   // whether the interface was compared with this record
	asked      atomic.Bool   // the engines were asked for its names
	inside     atomic.Int32  // the generation in which the interface's own programs were last seen
	registered atomic.Int32  // the generation of the datapath in which it was registered
	shown      atomic.Uint64 // frames shown by the last scrape
	broken     uint64        // frames that broke its mode, as counted by the scrape under way
}

// rare holds the facts that most records do not have.
type rare struct {
	leases    []dhcpLease          // of DHCP; nil if there are none
	healed    int64                // when its interface was made again last, ns since 1970; 0 if never
	vanished  int64                // when its interface vanished with its parent, ns since 1970; 0 if it exists
	engineNet *specs.EngineNetwork // network of another program, or nil
	dockerNet string               // docker's ID of its network, if docker made it by the driver berth
	sharers   []string             // IDs of the further containers in the namespace; nil if there are none
}

// rareOf returns the rare facts of an attachment, or nil if it has none.
func rareOf(a *state.Attachment, in intern) *rare {
	f := rare{leases: dhcpLeasesOf(a), engineNet: a.EngineNetwork}
	if a.Door != nil && a.Door.Name == state.DoorDocker {
		f.dockerNet = in.shared(a.Door.Network)
	}
	if len(a.Containers) > 1 {
		f.sharers = a.Containers[1:]
	}
	if !a.Healed.IsZero() {
		f.healed = a.Healed.UnixNano()
	}
	if !a.Vanished.IsZero() {
		f.vanished = a.Vanished.UnixNano()
	}
	if f.leases == nil && f.engineNet == nil && f.dockerNet == "" && f.sharers == nil && f.healed == 0 && f.vanished == 0 {
		return nil
	}
	return &f
}

// rareFacts returns the rare facts of a record, which are zero for most.
func (r *record) rareFacts() *rare {
	if r.rare == nil {
		return &noRareFacts
	}
	return r.rare
}

var noRareFacts rare // is not written

// past holds the final counts of a drained attachment, and those before it; most records
// have none.
type past struct {
	final      *specs.Counters // of a drained attachment
	earlier    *specs.Counters // of earlier runs
	violations map[specs.Kind]uint64
	dropped    map[specs.Kind]uint64
}

func pastOf(a *state.Attachment) *past {
	if a.Final == nil && a.Earlier == nil {
		return nil
	}
	return &past{a.Final, a.Earlier, a.FinalViolations, a.FinalDropped}
}

// finalCounts returns the counts of a drained attachment, or nil if it is not drained.
func (r *record) finalCounts() *specs.Counters {
	if r.past == nil {
		return nil
	}
	return r.past.final
}

// intern shares the memory of equal strings: networks, parents and modes are few.
type intern map[string]string

// maxInterned bounds the strings remembered; beyond it the set is emptied.
const maxInterned = 4096

func (in intern) shared(s string) string {
	if had, ok := in[s]; ok {
		return had
	}
	if len(in) >= maxInterned {
		clear(in)
	}
	in[s] = s
	return s
}

func newRecord(a *state.Attachment, in intern) *record {
	names := agent.NamesFor(a)
	_, ingress := release.IngressProgram(a)
	r := &record{
		Endpoint: metrics.Endpoint{
			Interface: in.shared(a.Interface), Network: in.shared(a.Network), Parent: in.shared(a.Parent),
			Name: names.Name, Image: in.shared(names.Image), Pod: names.Pod, Namespace: in.shared(names.Namespace),
			Labels: names.Labels,
			MAC:    a.MAC, Driver: specs.Driver(in.shared(string(a.Driver))), Mode: specs.Mode(in.shared(string(a.Mode))),
			Created: a.Created.UnixNano(),
		},
		key: a.Key(), cookie: a.Cookie, slot: a.Slot, parentIndex: a.ParentIndex, nsid: int32(a.NSID),
		linkIndex: int32(a.LinkIndex),
		noHeal:    a.NoHeal, lost: a.Lost,
		sibling: release.NeedsSibling(a) && !a.Observed, ingress: ingress, apart: release.IsApart(a),
		enforces: len(a.Enforce) > 0, observed: a.Observed,
		phase: specs.Phase(in.shared(string(a.Phase))), unnamed: a.Unnamed() && isEngines(a),
		past: pastOf(a), rare: rareOf(a, in),
	}
	if len(a.Containers) > 0 {
		r.ContainerID = a.Containers[0]
	}
	if a.Phase == specs.PhaseEnded {
		r.ended = a.Ended.UnixNano()
	}
	return r
}

// isEngines reports whether an engine may know the container of an attachment.
func isEngines(a *state.Attachment) bool {
	return !a.Observed || len(a.Containers) > 0 && !strings.Contains(a.Containers[0], ":")
}

// linkID returns the place of the interface.
func (r *record) linkID() linkID { return linkID{int(r.nsid), int(r.linkIndex)} }

// isLive reports whether the attachment has not ended.
func (r *record) isLive() bool { return r.phase != specs.PhaseEnded }

// isDraining is state.Attachment.Draining.
func (r *record) isDraining() bool { return !r.isLive() && r.slot != 0 }

// keyFields returns the attachment's key fields, for the store.
func (r *record) keyFields() *state.Attachment {
	a := &state.Attachment{Cookie: r.cookie, Interface: r.Interface, Phase: r.phase,
		Observed: r.observed, NSID: int(r.nsid), LinkIndex: int(r.linkIndex),
		Containers: []string{r.ContainerID}, Created: time.Unix(0, r.Created)}
	if !r.isLive() {
		a.Ended = time.Unix(0, r.ended)
	}
	return a
}

// inheritFrom takes over the process's own state from the previous reading of the same
// attachment.
func (r *record) inheritFrom(old *record) {
	if old != nil && old.Created == r.Created {
		r.shown.Store(old.shown.Load())
		if old.ContainerID == r.ContainerID && slices.Equal(old.rareFacts().sharers, r.rareFacts().sharers) {
			r.asked.Store(old.asked.Load())
		}
		// An observed one may have another MAC.
		if old.slot == r.slot && old.parentIndex == r.parentIndex &&
			old.rareFacts().healed == r.rareFacts().healed && !r.observed {
			r.registered.Store(old.registered.Load())
		}
	}
}

// bySeries orders records for a snapshot: those of one series beside each other, the newest
// first.
func bySeries(a, b *record) int {
	if order := cmp.Compare(a.Series(), b.Series()); order != 0 {
		return order
	}
	return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(a.storedKey, b.storedKey))
}
