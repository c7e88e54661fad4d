package metrics

import (
	"testing"

	"berth/specs"
)

// TestProgramsOf counts programs by their presence: a program ahead of them makes the parent
// failed, and removes none.
func TestProgramsOf(t *testing.T) {
	t.Parallel()
	parents := []specs.ParentStatus{
		{State: specs.ParentCounting, Attach: "tcx"}, {State: specs.ParentFailed, Attach: "tcx"},
		{State: specs.ParentFailed, Attach: "clsact"}, {State: specs.ParentFailed}, {State: specs.ParentDetached},
		{State: specs.ParentWaiting},
	}
	if programs := programsOf(parents); programs["tcx"] != 4 || programs["clsact"] != 2 {
		t.Errorf("%v programs, want tcx 4, clsact 2", programs)
	}
	waiting, failed := parentsIn(specs.ParentWaiting, parents), parentsIn(specs.ParentFailed, parents)
	if waiting != 1 || failed != 3 {
		t.Errorf("%d parents waiting, %d failed; want 1 and 3", waiting, failed)
	}
}
