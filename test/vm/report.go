package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"berth/test/results"
	"berth/test/vm/plan"
)

// report reads a machine's serial line: it prints what a person wants to see of
// the tests, as it comes, and keeps the verdict. It is an [io.Writer].
type report struct {
	out     io.Writer
	prefix  string // before each line printed
	mark    string
	verbose bool // print all that the tests print
	chosen  bool // a person chose the tests: some packages may have none of them
	bench   bool // it is no tests at all

	line    []byte // begun, not ended
	log     testLog
	missing []string // packages that have not ended, in the order of the plan
	done    bool
	broken  []string
	failed  int // packages
	total   counts
	results []results.Result
}

// counts are tests, not their sub-tests.
type counts struct{ passed, skipped, failed int }

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d skipped, %d failed", c.passed, c.skipped, c.failed)
}

func (r *report) Write(p []byte) (int, error) {
	r.line = append(r.line, p...)
	for {
		line, rest, whole := bytes.Cut(r.line, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		r.line = rest
		r.take(string(line))
	}
}

func (r *report) take(line string) {
	e, ok, err := plan.Parse(r.mark, []byte(line))
	switch {
	case err != nil:
		r.fault(err.Error())
	case ok:
		r.event(e)
	case r.verbose:
		r.print(line)
		r.log.take(line)
	default:
		for _, line := range r.log.take(line) {
			r.print(line)
		}
	}
}

func (r *report) event(e plan.Event) {
	switch e.What {
	case plan.Booted:
		r.print(fmt.Sprintf("kernel %s, up in %.1f s", e.Name, e.Seconds))
	case plan.Begin:
		r.log = testLog{}
	case plan.End:
		r.end(e)
	case plan.Broken:
		r.fault(e.Name)
	case plan.Done:
		r.done = true
	}
}

// end judges a package. One that ran no test has failed, or nobody would notice.
func (r *report) end(e plan.Event) {
	c := r.log.counts
	for _, result := range r.log.ended {
		result.Package, result.Where = e.Name, strings.TrimSuffix(r.prefix, "| ")
		r.results = append(r.results, result)
	}
	verdict := "ok  "
	if e.Status != 0 || c == (counts{}) && !r.chosen && !r.bench {
		verdict = "FAIL"
		r.failed++
		r.flush()
	}
	r.print(fmt.Sprintf("%s %s %.1fs (%v; exit status %d)", verdict, e.Name, e.Seconds, c, e.Status))
	r.total.passed += c.passed
	r.total.skipped += c.skipped
	r.total.failed += c.failed
	for i, name := range r.missing {
		if name == e.Name {
			r.missing = append(r.missing[:i:i], r.missing[i+1:]...)
			return
		}
	}
	r.fault("a verdict on " + e.Name + ", which was not planned")
}

// flush prints what tests logged that have not ended.
func (r *report) flush() {
	if !r.verbose {
		for _, line := range r.log.rest() {
			r.print(line)
		}
	}
	r.log = testLog{}
}

func (r *report) fault(why string) { r.broken = append(r.broken, why) }

func (r *report) print(line string) {
	fmt.Fprintf(r.out, "%s%s\n", r.prefix, strings.TrimRight(line, "\r"))
}

// verdict returns why the machine as a whole has not passed; nothing when it
// has.
func (r *report) verdict() []string {
	why := r.broken
	if r.failed > 0 {
		why = append(why, fmt.Sprintf("tests of %d packages failed", r.failed))
	}
	if r.total == (counts{}) && !r.bench {
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
