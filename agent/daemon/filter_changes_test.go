package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"berth/network"
)

// TestChangesOfFiltersWakeAtOnce requires one wake for the changes of one moment, without a delay, and the
// next one not before the pause is over.
func TestChangesOfFiltersWakeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wakes []time.Duration
		began := time.Now()
		f := filterChanges{pause: filterPause, wake: func() { wakes = append(wakes, time.Since(began)) }}
		for range 3 {
			f.noteChange(network.Change{NSID: -1, Index: 4, Filters: true})
		}
		f.noteChange(network.Change{NSID: 7, Index: 4, Filters: true}) // of a container
		synctest.Wait()
		time.Sleep(filterPause / 4)
		f.noteChange(network.Change{NSID: -1, Index: 4, Filters: true})
		time.Sleep(10 * filterPause)
		f.noteChange(network.Change{NSID: -1, Index: 5, Filters: true})
		synctest.Wait()
		want := []time.Duration{0, filterPause, filterPause/4 + 10*filterPause}
		if len(wakes) != len(want) || wakes[0] != want[0] || wakes[1] != want[1] || wakes[2] != want[2] {
			t.Errorf("wakes after %v, want %v", wakes, want)
		}
	})
}
