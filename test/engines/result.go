package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"berth/test/results"
)

// A result is the parsed output of an engine's tests.
type result struct {
	name   string
	text   string // of all runs
	status int    // of the last run's process
	log    results.Log
	results.Counts
	took time.Duration
}

// noise matches the lines by which the testing package shows its progress.
var noise = regexp.MustCompile(`^=== (RUN|PAUSE|CONT|NAME) `)

// add adds the output and exit status of a run.
func (r *result) add(text string, status int) {
	r.text += text
	r.status = status
	for line := range strings.Lines(text) {
		r.log.AddLine(strings.TrimSuffix(line, "\n"))
	}
	r.Counts = results.Count(r.log.Ended)
}

// outcomes returns the outcome of each test and subtest.
func (r *result) outcomes() []results.Result {
	all := slices.Clone(r.log.Ended)
	for i := range all {
		all[i].Package, all[i].Where = "berth/test/e2e", r.name
	}
	return all
}

// good reports whether tests ran and all passed. If no test matches, the table is
// wrong.
func (r result) good() bool { return r.status == 0 && r.Failed == 0 && r.skips() == 0 && r.Passed > 0 }

// print prints a summary line and, if a test failed, the output of the tests.
func (r result) print(verbose bool) {
	if verbose || !r.good() {
		for line := range strings.Lines(r.text) {
			if verbose || !noise.MatchString(line) {
				fmt.Print(line)
			}
		}
	}
	fmt.Printf("engines: %s: %s\n", r.name, r.line())
}

func (r result) line() string {
	line := fmt.Sprintf("%v in %.0f s", r.Counts, r.took.Seconds())
	if r.status != 0 && r.Failed == 0 {
		line += fmt.Sprintf(", and exit status %d", r.status)
	}
	return line
}

// skips returns the number of skipped tests and subtests.
func (r result) skips() int {
	n := 0
	for _, one := range r.log.Ended {
		if one.Outcome == results.Skip {
			n++
		}
	}
	return n
}

// report prints the sum, and reports whether all tests passed. A skip counts as a
// failure, because no other place runs the tests of an engine.
func report(all []result) bool {
	good := len(all) > 0
	var sum result
	for _, r := range all {
		good = good && r.good()
		sum.Passed, sum.Failed, sum.Skipped = sum.Passed+r.Passed, sum.Failed+r.Failed, sum.Skipped+r.Skipped
		sum.took += r.took
	}
	fmt.Printf("engines: all: %s\n", sum.line())
	return good
}
