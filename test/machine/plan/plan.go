// Package plan is the protocol of a virtual machine and its host: the plan, which the
// host puts into the initramfs, and the events, which the guest writes to its serial
// line between the output of the tests.
//
// [Plan] is the plan; [Parse] reads an [Event].
//
// It imports nothing of berth.
package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Path is the path of the [Plan] in the guest.
const Path = "/plan.json"

// Plan is the work of the guest.
type Plan struct {
	Mark    string   // begins the line of an event; random, so that no test prints it
	Modules []string // paths, in the order of loading
	Tests   []Test
	Again   int      // failed tests of a package that are run a second time, at most
	Env     []string // of the tests, "NAME=value"
}

// Test is a test binary.
type Test struct {
	Package string // import path
	Dir     string // working directory
	Args    []string
}

// The values of Event.What.
const (
	Booted = "booted" // Name: the kernel's release
	Begin  = "begin"  // Name: the package whose tests start
	Again  = "again"  // Name: the package whose failed tests start a second time
	End    = "end"    // Name: the package; Status: of its test binary
	Broken = "broken" // Name: the error that ended the plan
	Done   = "done"   // the last event
)

// Event is a line that the guest writes for the host.
type Event struct {
	What    string
	Name    string  `json:",omitempty"`
	Status  int     `json:",omitempty"` // exit status, or 128 and the signal that ended it
	Seconds float64 `json:",omitempty"` // since the kernel started, for Booted; of the run, for End
}

// Line returns the event as a line. It begins with a newline, because a test may have
// printed an incomplete line.
func (e Event) Line(mark string) ([]byte, error) {
	text, err := json.Marshal(e)
	return fmt.Appendf(nil, "\n%s%s\n", mark, text), err
}

// Parse returns the event in a line, or false if the line is not an event.
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
