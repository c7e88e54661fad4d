package bpf

import (
	"errors"
	"fmt"
	"strings"

	"berth/bpf/sys"
)

// HasFiltersInside reports whether programs on containers' interfaces are filters of clsact, as on
// kernels without tcx.
func HasFiltersInside() bool { return !sys.HasTCX() }

// ErrAhead is returned for a container's interface on which other filters would run before berth's.
var ErrAhead = errors.New("other filters run before berth's; remove them, in the container's network namespace")

// filterInside is linkInside for a kernel without tcx. The error wraps [ErrAhead] if the filter would not
// be the first.
func filterInside(o OwnProgram, p program, ifindex int) error {
	tc, err := openTC()
	if err != nil {
		return err
	}
	defer tc.Close()
	if _, err := ensureClsact(tc, ifindex); err != nil {
		return err
	}
	filters, err := tc.filters(ifindex, o.way.qdiscParent())
	if err != nil {
		return fmt.Errorf("list clsact filters: %w", err)
	}
	filter := planFilter(filters, ifindex, o.way)
	if ahead := filtersAhead(filtersUpTo(filters, filter.priority), ourFilter(filters, o.way), o.way); len(ahead) > 0 {
		return fmt.Errorf("%w: %s", ErrAhead, strings.Join(ahead, ", "))
	}
	filter.fd = p.FD()
	if err := replaceFilter(tc, filter); err != nil {
		return fmt.Errorf("put clsact filter: %w", err)
	}
	return nil
}

// LacksFilter reports whether an interface of the current namespace lacks the filter of a program, or has
// another before it. It is false if no agent has pinned the program.
func (m *Maps) LacksFilter(o OwnProgram, ifindex int) (bool, error) {
	if is, err := m.isPinned(o); err != nil || !is {
		return false, err
	}
	tc, err := openTC()
	if err != nil {
		return false, err
	}
	defer tc.Close()
	filters, err := tc.filters(ifindex, o.way.qdiscParent())
	if err != nil && !isGone(err) {
		return false, fmt.Errorf("list clsact filters: %w", err)
	}
	ours := ourFilter(filters, o.way)
	return ours == nil || len(filtersAhead(filters, ours, o.way)) > 0, nil
}
