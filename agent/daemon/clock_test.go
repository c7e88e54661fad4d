package daemon

import (
	"testing"
	"time"

	"berth/internal/state"
)

// An interface that was made before the clock was set back has its creation in the future. It must not
// look new until then: the agent searches the containers of new ones each second.
func TestNewInterfaceAfterClockStep(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		name string
		age  time.Duration
		want bool
	}{
		{"new", time.Second, true}, {"settled", time.Hour, false}, {"a small step", -time.Second, true},
		{"clock set back by days", -72 * time.Hour, false},
	} {
		at := &state.Attachment{Containers: []string{"netns:x"}, Observed: true, Created: now.Add(-c.age)}
		o := &observer{known: make(map[string]*state.Attachment), held: make(map[int]*state.Attachment)}
		o.noteRecord(at)
		if got := o.wantsHolders(); got != c.want {
			t.Errorf("%s: a search is due: %v, want %v", c.name, got, c.want)
		}
		if got := isNew(at, networkSettled); got != c.want {
			t.Errorf("%s: its network's file may still be written: %v, want %v", c.name, got, c.want)
		}
	}
}
