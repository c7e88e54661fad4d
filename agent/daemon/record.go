package daemon

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"berth/agent"
	"berth/agent/metrics"
	"berth/internal/state"
	"berth/specs"
)

// record is what the agent keeps of an attachment in memory, in less than half
// of what the attachment takes. Its first group does not change.
type record struct {
	metrics.Endpoint
	sum         uint64 // of the attachment as it is stored, by which a change is seen
	stored      string // its key there
	key         string // of the attachment
	cookie      uint64 // of the namespace
	ended       int64  // ns since 1970; 0: live
	parentIndex int
	nsid        int // of the namespace, as the host numbers it
	linkIndex   int // of the interface there
	phase       specs.Phase
	past        *past // nil: nothing
	slot        uint32
	unnamed     bool     // its engine was not asked yet for one of its containers
	sharers     []string // ids of the further containers in the namespace; nil for none

	compared   atomic.Bool   // the interface was held to the record as it is now
	asked      atomic.Bool   // the engines were asked for its names
	inside     atomic.Int64  // the epoch in which what it sends to siblings was seen to be counted
	registered atomic.Int64  // the epoch of the datapath that it was put into
	shown      atomic.Uint64 // frames that were shown of it last
	broken     uint64        // frames that broke its mode, of the scrape under way
}

// past is what was counted of a drained attachment, and before it; most records
// have none.
type past struct {
	final      *specs.Counters // of a drained one
	earlier    *specs.Counters // of runs that are gone
	violations map[specs.Kind]uint64
	dropped    map[specs.Kind]uint64
}

func pastOf(a *state.Attachment) *past {
	if a.Final == nil && a.Earlier == nil {
		return nil
	}
	return &past{a.Final, a.Earlier, a.FinalViolations, a.FinalDropped}
}

// final returns the counts of a drained attachment, nil of another.
func (r *record) final() *specs.Counters {
	if r.past == nil {
		return nil
	}
	return r.past.final
}

// intern gives equal strings one place in memory: networks, parents and modes
// are few.
type intern map[string]string

// maxInterned bounds what is remembered; then it starts anew.
const maxInterned = 4096

func (in intern) of(s string) string {
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
	r := &record{
		Endpoint: metrics.Endpoint{
			Interface: in.of(a.Interface), Network: in.of(a.Network), Parent: in.of(a.Parent),
			Name: names.Name, Image: in.of(names.Image), Pod: names.Pod, Namespace: in.of(names.Namespace), Labels: names.Labels,
			MAC: a.MAC, Driver: specs.Driver(in.of(string(a.Driver))), Mode: specs.Mode(in.of(string(a.Mode))), Created: a.Created.UnixNano(),
		},
		key: a.Key(), cookie: a.Cookie, slot: a.Slot, parentIndex: a.ParentIndex, nsid: a.NSID, linkIndex: a.LinkIndex,
		phase: specs.Phase(in.of(string(a.Phase))), unnamed: a.Unnamed(),
		past: pastOf(a),
	}
	if len(a.Containers) > 0 {
		r.ContainerID = a.Containers[0]
	}
	if len(a.Containers) > 1 {
		r.sharers = a.Containers[1:]
	}
	if a.Phase == specs.PhaseEnded {
		r.ended = a.Ended.UnixNano()
	}
	return r
}

// live reports whether the attachment has not ended.
func (r *record) live() bool { return r.phase != specs.PhaseEnded }

// draining is state.Attachment.Draining.
func (r *record) draining() bool { return !r.live() && r.slot != 0 }

// ident names the attachment for the store.
func (r *record) ident() *state.Attachment {
	a := &state.Attachment{Cookie: r.cookie, Interface: r.Interface, Phase: r.phase,
		Containers: []string{r.ContainerID}, Created: time.Unix(0, r.Created)}
	if !r.live() {
		a.Ended = time.Unix(0, r.ended)
	}
	return a
}

// follows takes over what this process knows of an attachment, as it was read
// before.
func (r *record) follows(old *record) {
	if old != nil && old.Created == r.Created {
		r.shown.Store(old.shown.Load())
		if old.ContainerID == r.ContainerID && slices.Equal(old.sharers, r.sharers) {
			r.asked.Store(old.asked.Load())
		}
		if old.slot == r.slot && old.parentIndex == r.parentIndex {
			r.registered.Store(old.registered.Load())
		}
	}
}

// bySeries orders records as a snapshot has them: those of one series beside
// each other, the newest first.
func bySeries(a, b *record) int {
	return cmp.Or(cmp.Compare(a.Series(), b.Series()), cmp.Compare(b.Created, a.Created))
}
