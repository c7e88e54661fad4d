package hook

import (
	"testing"

	"berth/internal/state"
)

// TestSameVLAN compares the VLANs of a record before and after its parent came back.
func TestSameVLAN(t *testing.T) {
	record := func(parent, trunk, id int, outer ...state.VLAN) *state.Attachment {
		return &state.Attachment{ParentIndex: parent, TrunkIndex: trunk, VLAN: id, Outer: outer}
	}
	outer := state.VLAN{TrunkIndex: 3, ID: 40}
	for name, c := range map[string]struct {
		old, now *state.Attachment
		same     [2]bool
	}{
		"a killed healer has made it":       {record(9, 3, 40), record(9, 3, 40), [2]bool{true}},
		"another program has made it":       {record(9, 3, 40), record(10, 3, 40), [2]bool{}},
		"a healer was killed before":        {record(0, 3, 40), record(9, 3, 40), [2]bool{}},
		"it is to be made":                  {record(9, 3, 40), record(0, 3, 40), [2]bool{}},
		"the trunk is another":              {record(9, 3, 40), record(9, 4, 40), [2]bool{}},
		"the outer one stayed":              {record(9, 5, 41, outer), record(0, 5, 41, outer), [2]bool{false, true}},
		"another program made both":         {record(9, 5, 41, outer), record(10, 6, 41, outer), [2]bool{}},
		"the outer one is no VLAN any more": {record(9, 5, 41, outer), record(10, 5, 41), [2]bool{}},
		"none":                              {record(9, 0, 0), record(9, 0, 0), [2]bool{}},
	} {
		for i, want := range c.same {
			if got := isSameVLAN(c.old, c.now, i); got != want {
				t.Errorf("%s: VLAN %d from inside: same %t, want %t", name, i, got, want)
			}
		}
	}
}
