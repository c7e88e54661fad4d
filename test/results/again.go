package results

import (
	"regexp"
	"slices"
	"strings"
)

// testsFailed is the exit status of a test binary whose tests ended and some failed; a panic
// and a timeout end it with 2 (testing.M.Run and runtime.throw).
const testsFailed = 1

// outputLines is the number of lines that a failed test's Result keeps.
const outputLines = 60

// LastLines joins the last 60 lines of a failed test's output.
func LastLines(lines []string) string {
	lines = lines[max(0, len(lines)-outputLines):]
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// FailedTests returns the names of the tests that failed, without subtests, each once.
func FailedTests(all []Result) []string {
	var names []string
	for _, r := range all {
		if r.Outcome == Fail && !strings.Contains(r.Test, "/") && !slices.Contains(names, r.Test) {
			names = append(names, r.Test)
		}
	}
	return names
}

// Second returns the -test.run of the second run of a test binary that ended with a status:
// the tests that failed, if they are at most again, or "" for all tests if the binary ended
// before them, for example by a panic. Of a test whose subtests failed, only these run: the first
// run may have chosen some of them. It returns false if there is no second run.
func Second(status int, all []Result, again int) (pattern string, ok bool) {
	switch failed := FailedTests(all); {
	case status == 0 || again == 0:
		return "", false
	case status != testsFailed:
		return "", true
	default:
		return patternOf(failed, all), len(failed) > 0 && len(failed) <= again
	}
}

// patternOf returns the regular expressions for -test.run that match tests, and of each only its
// subtests that failed, if any did.
func patternOf(tests []string, all []Result) string {
	patterns := make([]string, len(tests))
	for i, test := range tests {
		patterns[i] = Pattern([]string{test})
		var subtests []string
		for _, r := range all {
			rest, below := strings.CutPrefix(r.Test, test+"/")
			if name, _, _ := strings.Cut(rest, "/"); below && r.Outcome == Fail && !slices.Contains(subtests, name) {
				subtests = append(subtests, name)
			}
		}
		if len(subtests) > 0 {
			patterns[i] += "/" + Pattern(subtests)
		}
	}
	return strings.Join(patterns, "|")
}

// Pattern returns the regular expression for -test.run that matches just these tests.
func Pattern(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	return "^(" + strings.Join(quoted, "|") + ")$"
}

// Failures returns the failed outcomes that have output, in the order of all. An outcome
// is unsteady if the same test passed in a later run in the same place.
func Failures(all []Result) (failed, unsteady []Result) {
	type test struct{ pkg, name, where string }
	passed := map[test]bool{}
	for _, r := range slices.Backward(all) {
		top, _, _ := strings.Cut(r.Test, "/")
		n := test{r.Package, top, r.Where}
		switch {
		case r.Outcome == Pass && r.Test == top:
			passed[n] = true
		case r.Outcome == Fail && r.Output != "" && passed[n]:
			unsteady = append(unsteady, r)
		case r.Outcome == Fail && r.Output != "":
			failed = append(failed, r)
		}
	}
	slices.Reverse(failed)
	slices.Reverse(unsteady)
	return failed, unsteady
}
