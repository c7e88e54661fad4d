package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"berth/test/vm/plan"
)

// report reads a machine's second serial line, prints it as it comes, and keeps
// the verdict. It is an [io.Writer].
type report struct {
	out    io.Writer
	prefix string // before each line printed
	mark   string

	line      []byte // begun, not ended
	good, bad int    // steps
	broken    bool
	done      bool
}

func (r *report) Write(p []byte) (int, error) {
	r.line = append(r.line, p...)
	for {
		line, rest, whole := bytes.Cut(r.line, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		r.line = rest
		r.take(strings.TrimRight(string(line), "\r"))
	}
}

func (r *report) take(line string) {
	e, ok, err := plan.Parse(r.mark, []byte(line))
	switch {
	case err != nil:
		r.fault(err.Error())
	case ok:
		r.event(e)
	case line != "":
		r.print(line)
	}
}

func (r *report) event(e plan.Event) {
	switch e.What {
	case plan.Booted:
		r.print(fmt.Sprintf("kernel %s, up in %.0f s", e.Name, e.Seconds))
	case plan.Begin:
		r.print("step " + e.Name)
	case plan.End:
		verdict := "ok  "
		if r.good++; e.Status != 0 {
			verdict = "FAIL"
			r.good--
			r.bad++
		}
		r.print(fmt.Sprintf("%s %s %.0f s", verdict, e.Name, e.Seconds))
	case plan.Broken:
		r.fault(e.Name)
	case plan.Done:
		r.done = true
	}
}

func (r *report) fault(why string) {
	r.broken = true
	r.print("FAIL: " + why)
}

func (r *report) print(line string) { fmt.Fprintf(r.out, "%s%s\n", r.prefix, line) }

// passed reports whether steps ran, all of them well, and the machine ended.
func (r *report) passed() bool { return r.done && !r.broken && r.bad == 0 && r.good > 0 }
