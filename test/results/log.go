package results

import (
	"fmt"
	"strings"
)

// A Log reads the output of test binaries under -test.v and selects the lines to print:
// all of a failed or skipped test, none of a passed one. The zero Log is ready.
//
// Parallel tests are told apart by the lines "=== NAME" of the testing package.
type Log struct {
	Counts Counts
	Ended  []Result // without package and place

	current string // the test that prints the current line, "" outside of tests
	lines   map[string][]string
	order   []string
	first   map[string]bool // tests that failed in the first run; not nil in the second
}

// Counts counts tests, without their subtests.
type Counts struct{ Passed, Skipped, Failed int }

func (c Counts) String() string {
	return fmt.Sprintf("%d passed, %d skipped, %d failed", c.Passed, c.Skipped, c.Failed)
}

// AddLine processes a line, without its newline, and returns the lines to print now.
func (l *Log) AddLine(line string) []string {
	for _, tag := range []string{"=== RUN ", "=== NAME ", "=== CONT ", "=== PAUSE "} {
		if name, ok := strings.CutPrefix(line, tag); ok {
			l.current = strings.TrimSpace(name)
			return nil
		}
	}
	outcome, name, ok := parseOutcome(line)
	switch {
	case ok:
		return l.end(outcome, name, line)
	case line == "", line == "PASS", line == "FAIL": // the package's result repeats them
		return nil
	case l.current == "":
		return []string{line}
	}
	if l.lines == nil {
		l.lines = map[string][]string{}
	}
	if l.lines[l.current] == nil {
		l.order = append(l.order, l.current)
	}
	l.lines[l.current] = append(l.lines[l.current], line)
	return nil
}

func (l *Log) end(outcome, name, line string) []string {
	lines := append(l.lines[name], line)
	delete(l.lines, name)
	l.current = ""
	r := Result{Test: name, Outcome: outcome}
	switch outcome {
	case Skip:
		if len(lines) > 1 {
			_, r.Reason, _ = strings.Cut(strings.TrimSpace(lines[len(lines)-2]), ": ")
		}
	case Fail:
		r.Output = LastLines(lines)
	}
	l.Ended = append(l.Ended, r)
	if !strings.Contains(name, "/") {
		l.count(outcome, name)
	}
	if outcome == Pass {
		return nil
	}
	return lines
}

func (l *Log) count(outcome, name string) {
	if l.first[name] {
		l.Counts.Failed--
	}
	switch outcome {
	case Pass:
		l.Counts.Passed++
	case Skip:
		l.Counts.Skipped++
	case Fail:
		l.Counts.Failed++
	}
}

// Again begins a second run, of the tests that failed. A test that passes in it no longer
// counts as failed.
func (l *Log) Again() {
	l.current, l.first = "", map[string]bool{}
	for _, name := range FailedTests(l.Ended) {
		l.first[name] = true
	}
}

// Unended returns the output of tests that have not ended, for example because the
// binary panicked.
func (l *Log) Unended() []string {
	var lines []string
	for _, name := range l.order {
		if some := l.lines[name]; some != nil {
			lines = append(append(lines, "=== "+name), some...)
		}
		delete(l.lines, name)
	}
	return lines
}

// parseOutcome reads a line such as "    --- FAIL: TestX/sub (0.01s)".
func parseOutcome(line string) (outcome, name string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "--- ")
	if !ok {
		return "", "", false
	}
	outcome, rest, ok = strings.Cut(rest, ": ")
	outcome = strings.ToLower(outcome)
	if !ok || outcome != Pass && outcome != Fail && outcome != Skip {
		return "", "", false
	}
	name, _, ok = strings.Cut(rest, " (")
	return outcome, name, ok
}
