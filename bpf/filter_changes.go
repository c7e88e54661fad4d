//go:build !hook

package bpf

import "berth/bpf/sys"

// FilterChange describes a qdisc or a filter of an interface that was created, replaced or deleted, by
// the kernel's notification (struct tcmsg and its attributes).
type FilterChange struct {
	Deleted  bool
	Qdisc    bool   // it is a qdisc
	Parent   uint32 // handle of the place
	Handle   uint32 // 0 if all filters of a priority were deleted
	Priority uint16 // of a filter
	Chain    uint32 // of a filter
	Kind     string
	Program  uint32 // ID of a filter's BPF program, or 0
}

// insidePriority is the priority of berth's filters on a container's interface: no other filter was
// before them when they were attached.
const insidePriority = 1

// InsideEffect is the effect of a change on berth's filter on a container's interface.
type InsideEffect uint8

// The effects.
const (
	NoEffect InsideEffect = iota
	Removed               // the filter may be gone: berth's, or one that the kernel does not name
	Preceded              // another filter is before it, or its program is not own
	Restored              // berth's filter was put there
)

// EffectInside returns the effect of a change of a container's interface, and the directions that it is in.
func (c FilterChange) EffectInside(own func(program uint32) bool) (e InsideEffect, egress, ingress bool) {
	if c.Qdisc {
		if c.Deleted && c.Parent == parentClsact {
			return Removed, true, true
		}
		return NoEffect, false, false
	}
	switch {
	case c.Chain != 0: // it runs only after a filter of chain 0
	case c.Deleted && (c.Handle == filterHandle || c.Handle == 0 && c.Kind == kindBPF):
		e = Removed
	case c.Deleted:
	case c.Handle == filterHandle && c.Kind == kindBPF && own(c.Program):
		e = Restored
	case c.Priority <= insidePriority:
		e = Preceded
	}
	return e, c.Parent == parentEgress, c.Parent == parentIngress
}

// InsidePrograms returns a function that reports whether an ID is that of one of this Datapath's
// programs on containers' interfaces.
func (d *Datapath) InsidePrograms() func(id uint32) bool {
	own := make(map[uint32]bool)
	for _, o := range ownPrograms {
		if id, err := sys.ProgramID(d.programOf(o).FD()); err == nil {
			own[id] = true
		}
	}
	return func(id uint32) bool { return own[id] }
}
