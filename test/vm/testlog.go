package main

import (
	"strings"

	"berth/test/results"
)

// testLog reads the output of a test binary under -test.v and selects the lines to
// print: all of a failed or skipped test, none of a passed one.
type testLog struct {
	counts  counts
	current string // the test that prints the current line, "" outside of tests
	logs    map[string][]string
	order   []string
	ended   []results.Result // without package and place
}

// addLine processes a line and returns the lines to print now.
func (l *testLog) addLine(line string) []string {
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
	if l.logs == nil {
		l.logs = map[string][]string{}
	}
	if l.logs[l.current] == nil {
		l.order = append(l.order, l.current)
	}
	l.logs[l.current] = append(l.logs[l.current], line)
	return nil
}

func (l *testLog) end(outcome, name, line string) []string {
	log := append(l.logs[name], line)
	delete(l.logs, name)
	l.current = ""
	sub := strings.Contains(name, "/")
	r := results.Result{Test: name, Outcome: strings.ToLower(outcome)}
	if outcome == "SKIP" && len(log) > 1 {
		_, r.Reason, _ = strings.Cut(strings.TrimSpace(log[len(log)-2]), ": ")
	}
	l.ended = append(l.ended, r)
	switch outcome {
	case "PASS":
		log = nil
		if !sub {
			l.counts.passed++
		}
	case "SKIP":
		if !sub {
			l.counts.skipped++
		}
	case "FAIL":
		if !sub {
			l.counts.failed++
		}
	}
	return log
}

// unended returns the output of tests that have not ended, for example because the
// binary panicked.
func (l *testLog) unended() []string {
	var lines []string
	for _, name := range l.order {
		if log := l.logs[name]; log != nil {
			lines = append(append(lines, "=== "+name), log...)
		}
		delete(l.logs, name)
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
	if !ok || outcome != "PASS" && outcome != "FAIL" && outcome != "SKIP" {
		return "", "", false
	}
	name, _, ok = strings.Cut(rest, " (")
	return outcome, name, ok
}
