// Package plan is what the two sides of a virtual machine say to each other:
// the plan, which the host puts into the initramfs, and the events, which the
// guest writes to its serial line between the output of the tests.
//
// It imports nothing of berth.
package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Path is where the guest finds its [Plan].
const Path = "/plan.json"

// Plan is what the guest is to do.
type Plan struct {
	Mark    string   // starts a line that is an event; no test can print it by chance
	Modules []string // paths, in the order in which they are to be loaded
	Tests   []Test
	Env     []string // of the tests, "NAME=value"
}

// Test is a test binary.
type Test struct {
	Package string // import path
	Dir     string // where it is to run
	Args    []string
}

// What an event tells.
const (
	Booted = "booted" // Name: the kernel's release
	Begin  = "begin"  // Name: the package whose tests start
	End    = "end"    // Name: the package; Status: of its test binary
	Broken = "broken" // Name: why the guest could not do what was planned
	Done   = "done"   // the last one
)

// Event is a line that the guest writes for the host.
type Event struct {
	What    string
	Name    string  `json:",omitempty"`
	Status  int     `json:",omitempty"` // exit status, 128 and the signal where one ended it
	Seconds float64 `json:",omitempty"` // since the kernel started, for Booted; of the run, for End
}

// Line returns the event as a line, which starts at a new one whatever a test
// printed before.
func (e Event) Line(mark string) ([]byte, error) {
	text, err := json.Marshal(e)
	return fmt.Appendf(nil, "\n%s%s\n", mark, text), err
}

// Parse returns the event of a line; false when it is none.
func Parse(mark string, line []byte) (Event, bool, error) {
	text, ok := bytes.CutPrefix(line, []byte(mark))
	if !ok {
		return Event{}, false, nil
	}
	var e Event
	if err := json.Unmarshal(text, &e); err != nil {
		return Event{}, true, fmt.Errorf("event %q: %w", text, err)
	}
	return e, true, nil
}
