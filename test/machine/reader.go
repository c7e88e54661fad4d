package machine

import (
	"bytes"
	"strings"

	"berth/test/machine/plan"
)

// A Reader cuts the output of a machine's serial line into lines, and passes
// each to one of its functions as it comes. It is an [io.Writer].
type Reader struct {
	Mark  string           // of lines that are events
	Event func(plan.Event) // gets the events
	Line  func(string)     // gets the other lines
	Fault func(string)     // gets the error of an event that cannot be parsed

	begun []byte // an incomplete line
}

func (r *Reader) Write(p []byte) (int, error) {
	r.begun = append(r.begun, p...)
	for {
		line, rest, whole := bytes.Cut(r.begun, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		r.begun = rest
		r.addLine(strings.TrimRight(string(line), "\r"))
	}
}

func (r *Reader) addLine(line string) {
	e, ok, err := plan.Parse(r.Mark, []byte(line))
	switch {
	case err != nil:
		r.Fault(err.Error())
	case ok:
		r.Event(e)
	default:
		r.Line(line)
	}
}
