// Package results stores the outcomes of tests for the programs of a check run: each
// writes a file of them, and at the end [Unproven] returns the tests that were skipped
// in every place that tried them.
//
// It does not know the needs of a test: a skip is settled by a pass in another place.
// A test that failed may be run a second time; both outcomes are stored, in order, and
// [Failures] tells the unsteady tests from the failed ones.
package results

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The outcomes of a test.
const (
	Pass = "pass"
	Fail = "fail"
	Skip = "skip"
)

// A Result is the outcome of one test or subtest in one place.
type Result struct {
	Package string // import path
	Test    string // TestName, or TestName/subtest
	Outcome string
	Reason  string `json:",omitempty"` // of a skip
	Where   string `json:",omitempty"` // the kernel or engine
	Output  string `json:",omitempty"` // of a failed test, its last lines
}

// Counts counts tests, without their subtests.
type Counts struct{ Passed, Skipped, Failed int }

func (c Counts) String() string {
	return fmt.Sprintf("%d passed, %d skipped, %d failed", c.Passed, c.Skipped, c.Failed)
}

// Count counts the tests by the outcome of their last run in each place.
func Count(all []Result) Counts {
	type test struct{ pkg, name, where string }
	last := map[test]string{}
	for _, r := range all {
		if !strings.Contains(r.Test, "/") {
			last[test{r.Package, r.Test, r.Where}] = r.Outcome
		}
	}
	var c Counts
	for _, outcome := range last {
		switch outcome {
		case Pass:
			c.Passed++
		case Skip:
			c.Skipped++
		case Fail:
			c.Failed++
		}
	}
	return c
}

// Write writes results to a file, one JSON object per line, and makes its directory.
func Write(file string, all []Result) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, r := range all {
		if err = enc.Encode(r); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// ReadFiles reads the results of all files.
func ReadFiles(files ...string) ([]Result, error) {
	var all []Result
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		dec := json.NewDecoder(f)
		for dec.More() {
			var r Result
			if err := dec.Decode(&r); err != nil {
				_ = f.Close()
				return nil, fmt.Errorf("read results in %q: %w", file, err)
			}
			all = append(all, r)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Unproven returns one skip for each test that was skipped and passed in no place, sorted
// by reason, package and name.
func Unproven(all []Result) []Result {
	type name struct{ pkg, test string }
	passed, skipped := map[name]bool{}, map[name]Result{}
	for _, r := range all {
		switch n := (name{r.Package, r.Test}); r.Outcome {
		case Pass:
			passed[n] = true
		case Skip:
			skipped[n] = r
		}
	}
	var unproven []Result
	for n, r := range skipped {
		if !passed[n] {
			unproven = append(unproven, r)
		}
	}
	slices.SortFunc(unproven, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Test, b.Test))
	})
	return unproven
}
