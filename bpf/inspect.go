package bpf

import (
	"errors"
	"fmt"
	"slices"

	"berth/bpf/sys"
)

// Attachment describes the programs on a parent.
type Attachment struct {
	Kind string // TCX or Clsact
	Old  bool   // whether one is of an earlier run

	// ProgramsAhead lists the programs and chains that get frames before berth's programs: XDP, TC
	// and nftables, on the parent or on the interfaces below it. Each can drop frames, or
	// pass them on, unseen by berth's.
	ProgramsAhead []string
}

// kindAt returns the attach type of both of berth's programs on an interface, or "" if not
// both are there.
func (d *Datapath) kindAt(ifindex int) (string, error) {
	at, err := d.inspectParent(ifindex)
	return at.Kind, err
}

// inspectParent reads the TC programs of an interface from the kernel. Kind is "" if berth's are
// not both in their places.
func (d *Datapath) inspectParent(ifindex int) (at Attachment, err error) {
	at.ProgramsAhead, at.Old, err = d.inspectTCX(ifindex)
	if err != nil && !errors.Is(err, errNotOn) {
		return at, err
	}
	if at.Kind = TCX; err != nil {
		at.Kind = Clsact
		at.ProgramsAhead, at.Old, err = d.inspectClsact(ifindex)
	}
	if errors.Is(err, errNotOn) {
		return Attachment{}, nil
	} else if err != nil {
		return at, err
	}
	return at, nil
}

// errNotOn is returned for an interface that does not have both of berth's programs.
var errNotOn = errors.New("programs are not on the interface")

// inspectTCX looks for berth's pinned links in the kernel's list of programs.
func (d *Datapath) inspectTCX(ifindex int) (ahead []string, old bool, err error) {
	for _, w := range ways {
		ours, err := d.pins.linkInfo(ifindex, w)
		if err != nil {
			return nil, false, err
		}
		old = old || !isProgram(d.programFor(w), ours.Program)
		all, err := runningTCX(ifindex, w)
		if err != nil {
			return nil, false, err
		}
		at := slices.IndexFunc(all, func(p sys.Attached) bool {
			return p.Link != 0 && p.Link == ours.ID
		})
		if at < 0 {
			return nil, false, errNotOn
		}
		for _, p := range all[:at] {
			ahead = append(ahead, fmt.Sprintf("tcx %s program %s", w, programText(p.Program)))
		}
	}
	return ahead, old, nil
}

// linkInfo returns the kernel's information on a pinned link of berth's, or errNotOn if it
// is attached to no interface or another one.
func (p pins) linkInfo(ifindex int, w direction) (sys.LinkInfo, error) {
	l, err := sys.LoadPinnedLink(p.linkPath(ifindex, w))
	if err != nil {
		return sys.LinkInfo{}, errNotOn
	}
	defer l.Close()
	info, ok, err := l.Info()
	if err != nil || !ok || info.IfIndex != uint32(ifindex) {
		return sys.LinkInfo{}, errNotOn
	}
	return info, nil
}

// runningTCX returns the tcx programs of an interface in the order in which they run; none
// on a kernel without tcx.
func runningTCX(ifindex int, w direction) ([]sys.Attached, error) {
	if !sys.HasTCX() {
		return nil, nil
	}
	all, err := sys.QueryTCX(ifindex, w.tcxAttachType())
	if isGone(err) {
		return nil, errNotOn
	} else if err != nil {
		return nil, fmt.Errorf("tcx %s: %w", w, err)
	}
	return all, nil
}

// inspectClsact looks for berth's filters. All tcx programs run before them, and so do the
// filters that the kernel lists earlier (net/sched/cls_api.c, __tcf_classify).
func (d *Datapath) inspectClsact(ifindex int) (ahead []string, old bool, err error) {
	if kind, _, err := ingressQdisc(d.tc, ifindex); err != nil || kind != Clsact {
		return nil, false, errors.Join(err, errNotOn)
	}
	for _, w := range ways {
		filters, err := d.filters(ifindex, w)
		if err != nil {
			return nil, false, err
		}
		ours := ourFilter(filters, w)
		if ours == nil || !ours.directAction {
			return nil, false, errNotOn
		}
		old = old || !isProgram(d.programFor(w), ours.program)
		all, err := runningTCX(ifindex, w)
		if err != nil {
			return nil, false, err
		}
		for _, p := range all {
			ahead = append(ahead, fmt.Sprintf("tcx %s program %s", w, programText(p.Program)))
		}
		ahead = append(ahead, filtersAhead(filters, ours, w)...)
	}
	return ahead, old, nil
}

// filtersAhead returns the names of the filters that the kernel runs before berth's. A filter
// of a chain other than 0 runs only if an action of a filter in chain 0 leads to it.
func filtersAhead(filters []*filter, ours *filter, w direction) (ahead []string) {
	for _, f := range filters {
		if f == ours {
			break
		}
		if f.chain != 0 {
			continue
		}
		name := f.kind
		if f.kind == kindBPF {
			name = fmt.Sprintf("bpf %q (program id %d)", f.name, f.program)
		}
		ahead = append(ahead, fmt.Sprintf("%s filter %s at preference %d", w, name, f.priority))
	}
	return slices.Compact(ahead) // the kernel lists a filter of u32 more than once
}

// isProgram reports whether id is p's. A Datapath that has loaded no program accepts any.
func isProgram(p program, id uint32) bool {
	if p == nil {
		return true
	}
	own, err := sys.ProgramID(p.FD())
	return err == nil && own == id
}

// programText returns the name of a program and its id, or the id alone if the name cannot
// be read.
func programText(id uint32) string {
	names, err := programNames()
	if name := names[id]; err == nil && name != "" {
		return fmt.Sprintf("%q (id %d)", name, id)
	}
	return fmt.Sprintf("id %d", id)
}
