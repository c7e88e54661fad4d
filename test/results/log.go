package results

import (
	"slices"
	"strings"
)

// A Log reads the output of test binaries under -test.v and selects the lines to print:
// all of a failed or skipped test, none of a passed one. The zero Log is ready.
//
// Parallel tests are told apart by the lines "=== NAME" of the testing package.
type Log struct {
	Ended []Result // without package and place

	current string // the test that prints the current line, "" outside of tests
	lines   map[string][]string
	order   []string
	running []string // tests, without subtests
}

// AddLine processes a line, without its newline, and returns the lines to print now.
func (l *Log) AddLine(line string) []string {
	for _, tag := range []string{"=== RUN ", "=== NAME ", "=== CONT ", "=== PAUSE "} {
		if name, ok := strings.CutPrefix(line, tag); ok {
			l.current = strings.TrimSpace(name)
			if tag == "=== RUN " && !strings.Contains(name, "/") {
				l.running = append(l.running, l.current)
			}
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
	l.running = slices.DeleteFunc(l.running, func(other string) bool { return other == name })
	if outcome == Pass {
		return nil
	}
	return lines
}

// Again begins a second run. A test that the first run began and did not end has failed in it.
func (l *Log) Again() {
	for _, name := range l.running {
		lines := append([]string{"did not end: " + name}, l.lines[name]...)
		l.Ended = append(l.Ended, Result{Test: name, Outcome: Fail, Output: LastLines(lines)})
	}
	*l = Log{Ended: l.Ended}
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
