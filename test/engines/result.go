package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"berth/test/results"
)

// A result is the parsed output of an engine's tests.
type result struct {
	name                    string
	text                    string
	status                  int // of the test's process
	passed, failed, skipped int // tests and subtests
	took                    time.Duration
	outcomes                []results.Result
}

// verdict is the line at the end of a test.
var verdict = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+)`)

// noise matches the lines by which the testing package shows its progress.
var noise = regexp.MustCompile(`^=== (RUN|PAUSE|CONT|NAME) `)

func parseResult(name, text string) result {
	r := result{name: name, text: text}
	for line := range strings.Lines(text) {
		m := verdict.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		r.outcomes = append(r.outcomes, results.Result{
			Package: "berth/test/e2e", Test: m[2], Outcome: strings.ToLower(m[1]), Where: name,
		})
		switch m[1] {
		case "PASS":
			r.passed++
		case "FAIL":
			r.failed++
		case "SKIP":
			r.skipped++
		}
	}
	return r
}

// good reports whether tests ran and all passed. If no test matches, the table is
// wrong.
func (r result) good() bool { return r.status == 0 && r.failed == 0 && r.skipped == 0 && r.passed > 0 }

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
	line := fmt.Sprintf("%d passed, %d failed, %d skipped in %.0f s", r.passed, r.failed, r.skipped, r.took.Seconds())
	if r.status != 0 && r.failed == 0 {
		line += fmt.Sprintf(", and exit status %d", r.status)
	}
	return line
}

// report prints the sum, and reports whether all tests passed. A skip counts as a
// failure, because no other place runs the tests of an engine.
func report(all []result) bool {
	good := len(all) > 0
	var sum result
	for _, r := range all {
		good = good && r.good()
		sum.passed, sum.failed, sum.skipped = sum.passed+r.passed, sum.failed+r.failed, sum.skipped+r.skipped
		sum.took += r.took
	}
	fmt.Printf("engines: all: %s\n", sum.line())
	return good
}
