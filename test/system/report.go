package main

import (
	"fmt"
	"io"
	"strings"

	"berth/test/machine"
	"berth/test/machine/plan"
	"berth/test/results"
)

// report reads a machine's second serial line, prints it as it arrives, and stores
// the verdict.
type report struct {
	out    io.Writer
	prefix string // before each line printed
	mark   string

	good, bad int // steps
	broken    bool
	done      bool
	lines     []string         // of the current step
	ended     []results.Result // of each step
}

// reader returns a reader of the serial line for the report.
func (r *report) reader() *machine.Reader {
	return &machine.Reader{Mark: r.mark, Event: r.event, Line: r.addLine, Fault: r.fault}
}

func (r *report) addLine(line string) {
	if line != "" {
		r.lines = append(r.lines, line)
		r.print(line)
	}
}

func (r *report) event(e plan.Event) {
	switch e.What {
	case plan.Booted:
		r.print(fmt.Sprintf("kernel %s, up in %.0f s", e.Name, e.Seconds))
	case plan.Begin:
		r.lines = nil
		r.print("step " + e.Name)
	case plan.End:
		verdict := "ok  "
		step := results.Result{Package: "berth/test/system", Test: e.Name, Outcome: results.Pass,
			Where: strings.TrimSuffix(r.prefix, "| ")}
		if r.good++; e.Status != 0 {
			verdict = "FAIL"
			r.good--
			r.bad++
			step.Outcome, step.Output = results.Fail, results.LastLines(r.lines)
		}
		r.ended = append(r.ended, step)
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

// passed reports whether steps ran and passed, and the machine ended in order.
func (r *report) passed() bool { return r.done && !r.broken && r.bad == 0 && r.good > 0 }
