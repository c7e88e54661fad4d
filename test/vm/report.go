package main

import (
	"fmt"
	"io"
	"strings"

	"berth/test/machine"
	"berth/test/machine/plan"
	"berth/test/results"
)

// report reads a machine's serial line: it prints the output of failed and skipped
// tests as it arrives, and stores the verdict.
type report struct {
	out     io.Writer
	prefix  string // before each line printed
	mark    string
	verbose bool // print all that the tests print
	chosen  bool // the tests were chosen by -run; some packages may have none of them
	bench   bool // the machine runs test/bench, not tests

	log     results.Log
	missing []string // packages that have not ended, in the order of the plan
	done    bool
	broken  []string
	failed  int // packages
	total   results.Counts
	results []results.Result
}

// reader returns a reader of the serial line for the report.
func (r *report) reader() *machine.Reader {
	return &machine.Reader{Mark: r.mark, Event: r.event, Line: r.addLine, Fault: r.fault}
}

func (r *report) addLine(line string) {
	picked := r.log.AddLine(line)
	if r.verbose {
		picked = []string{line}
	}
	for _, line := range picked {
		r.print(line)
	}
}

func (r *report) event(e plan.Event) {
	switch e.What {
	case plan.Booted:
		r.print(fmt.Sprintf("kernel %s, up in %.1f s", e.Name, e.Seconds))
	case plan.Begin:
		r.log = results.Log{}
	case plan.Again:
		r.print("again: the failed tests, or after a panic all, of " + e.Name)
		r.log.Again()
	case plan.End:
		r.end(e)
	case plan.Broken:
		r.fault(e.Name)
	case plan.Done:
		r.done = true
	}
}

// end judges a package. A package that ran no test counts as failed.
func (r *report) end(e plan.Event) {
	c := results.Count(r.log.Ended)
	for _, result := range r.log.Ended {
		result.Package, result.Where = e.Name, strings.TrimSuffix(r.prefix, "| ")
		r.results = append(r.results, result)
	}
	verdict := "ok  "
	if e.Status != 0 || c == (results.Counts{}) && !r.chosen && !r.bench {
		verdict = "FAIL"
		r.failed++
		r.flush()
	}
	r.print(fmt.Sprintf("%s %s %.1fs (%v; exit status %d)", verdict, e.Name, e.Seconds, c, e.Status))
	r.total.Passed += c.Passed
	r.total.Skipped += c.Skipped
	r.total.Failed += c.Failed
	for i, name := range r.missing {
		if name == e.Name {
			r.missing = append(r.missing[:i:i], r.missing[i+1:]...)
			return
		}
	}
	r.fault("a verdict on " + e.Name + ", which was not planned")
}

// flush prints the output of tests that have not ended.
func (r *report) flush() {
	if !r.verbose {
		for _, line := range r.log.Unended() {
			r.print(line)
		}
	}
	r.log = results.Log{}
}

func (r *report) fault(why string) { r.broken = append(r.broken, why) }

func (r *report) print(line string) {
	fmt.Fprintf(r.out, "%s%s\n", r.prefix, strings.TrimRight(line, "\r"))
}

// printAll prints lines, each with a word before it.
func (r *report) printAll(before string, lines []string) {
	for _, line := range lines {
		r.print(before + line)
	}
}

// verdict returns the reasons why the machine as a whole has not passed, or none.
func (r *report) verdict() []string {
	why := r.broken
	if r.failed > 0 {
		why = append(why, fmt.Sprintf("tests of %d packages failed", r.failed))
	}
	if r.total == (results.Counts{}) && !r.bench {
		why = append(why, "no test ran")
	}
	for _, name := range r.missing {
		why = append(why, "no verdict on "+name)
	}
	if !r.done {
		why = append(why, "the machine did not come to the end of its plan")
	}
	return why
}
