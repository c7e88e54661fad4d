package daemon

import (
	"sync"
	"time"

	"berth/network"
)

// filterPause is the least time between two wakes for changes of filters. It bounds the work if
// another program removes berth's filters each time that the agent has restored them.
const filterPause = time.Second

// filterChanges wakes the loop if qdiscs or filters have changed: at once, unless the last wake was
// within the pause.
type filterChanges struct {
	pause time.Duration
	wake  func()

	mu   sync.Mutex
	due  bool      // a wake is scheduled
	next time.Time // before which none is
}

// noteChange notes a change of the host's filters. It does not block.
func (f *filterChanges) noteChange(c network.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.due || c.NSID >= 0 {
		return
	}
	f.due = true
	time.AfterFunc(time.Until(f.next), func() {
		f.mu.Lock()
		f.due, f.next = false, time.Now().Add(f.pause)
		f.mu.Unlock()
		f.wake()
	})
}
