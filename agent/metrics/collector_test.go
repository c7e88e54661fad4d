package metrics

import (
	"testing"

	"berth/specs"
)

// TestProgramsOf counts programs by their presence: a program ahead of them makes the parent
// failed, and removes none.
func TestProgramsOf(t *testing.T) {
	t.Parallel()
	programs, missing := programsOf([]specs.ParentStatus{
		{State: specs.ParentCounting, Attach: "tcx"}, {State: specs.ParentFailed, Attach: "tcx"},
		{State: specs.ParentFailed, Attach: "clsact"}, {State: specs.ParentFailed}, {State: specs.ParentDetached},
		{State: specs.ParentWaiting},
	})
	if programs["tcx"] != 4 || programs["clsact"] != 2 || missing != 1 {
		t.Errorf("%v programs, %d parents missing; want tcx 4, clsact 2, 1 missing", programs, missing)
	}
}
