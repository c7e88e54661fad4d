package results

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestUnproven(t *testing.T) {
	dir := t.TempDir()
	here, there := filepath.Join(dir, "of", "here"), filepath.Join(dir, "of", "there")
	for file, all := range map[string][]Result{
		here: {
			{Package: "p", Test: "TestVLAN", Outcome: Skip, Reason: "no vlan"},
			{Package: "p", Test: "TestWiFi", Outcome: Skip, Reason: "no radio", Where: "here"},
			{Package: "p", Test: "TestAlways", Outcome: Pass},
			{Package: "q", Test: "TestVLAN/tagged", Outcome: Skip, Reason: "no vlan"},
			{Package: "q", Test: "TestBroken", Outcome: Skip, Reason: "no ipvlan"},
		},
		there: {
			{Package: "p", Test: "TestVLAN", Outcome: Pass},
			{Package: "p", Test: "TestAlways", Outcome: Skip, Reason: "an old kernel"},
			{Package: "q", Test: "TestVLAN", Outcome: Pass}, // not the subtest
			{Package: "q", Test: "TestBroken", Outcome: Fail},
		},
	} {
		if err := Write(file, all); err != nil {
			t.Fatal(err)
		}
	}
	all, err := ReadFiles(here, there)
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{Package: "q", Test: "TestBroken", Outcome: Skip, Reason: "no ipvlan"},
		{Package: "p", Test: "TestWiFi", Outcome: Skip, Reason: "no radio", Where: "here"},
		{Package: "q", Test: "TestVLAN/tagged", Outcome: Skip, Reason: "no vlan"},
	}
	if got := Unproven(all); !reflect.DeepEqual(got, want) {
		t.Errorf("unproven:\n%+v\nwant\n%+v", got, want)
	}
}

// A test that fails and then passes in the same place is unsteady; a pass in another
// place does not help it.
func TestFailures(t *testing.T) {
	failed, unsteady := Failures([]Result{
		{Package: "p", Test: "TestOnce/sub", Outcome: Fail, Output: "sub", Where: "here"},
		{Package: "p", Test: "TestOnce", Outcome: Fail, Output: "once", Where: "here"},
		{Package: "p", Test: "TestTwice", Outcome: Fail, Output: "first", Where: "here"},
		{Package: "p", Test: "TestOnce", Outcome: Pass, Where: "here"},
		{Package: "p", Test: "TestTwice", Outcome: Fail, Output: "second", Where: "here"},
		{Package: "p", Test: "TestTwice", Outcome: Pass, Where: "there"},
		{Package: "q", Test: "TestOnce", Outcome: Fail, Output: "another package", Where: "here"},
	})
	outputs := func(all []Result) string {
		var text []string
		for _, r := range all {
			text = append(text, r.Output)
		}
		return strings.Join(text, ", ")
	}
	if got, want := outputs(failed), "first, second, another package"; got != want {
		t.Errorf("failed: %s; want %s", got, want)
	}
	if got, want := outputs(unsteady), "sub, once"; got != want {
		t.Errorf("unsteady: %s; want %s", got, want)
	}
}

func TestPattern(t *testing.T) {
	if got, want := Pattern([]string{"TestA", "TestB"}), "^(TestA|TestB)$"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// After a second run, a test that passes in it no longer counts as failed.
func TestLogOfASecondRun(t *testing.T) {
	var l Log
	for _, line := range []string{
		"=== RUN   TestA", "    a_test.go:1: late", "--- FAIL: TestA (0.00s)",
		"=== RUN   TestB", "--- FAIL: TestB (0.00s)", "=== RUN   TestC", "--- PASS: TestC (0.00s)", "FAIL",
	} {
		l.AddLine(line)
	}
	if got := FailedTests(l.Ended); !reflect.DeepEqual(got, []string{"TestA", "TestB"}) || Count(l.Ended) != (Counts{Passed: 1, Failed: 2}) {
		t.Fatalf("after the first run: %q failed; %v", got, Count(l.Ended))
	}
	l.Again()
	for _, line := range []string{"--- PASS: TestA (0.00s)", "--- FAIL: TestB (0.00s)"} {
		l.AddLine(line)
	}
	if got := Count(l.Ended); got != (Counts{Passed: 2, Failed: 1}) {
		t.Errorf("after the second run: %v", got)
	}
	failed, unsteady := Failures(l.Ended)
	if len(failed) != 2 || len(unsteady) != 1 || unsteady[0].Output != "    a_test.go:1: late\n--- FAIL: TestA (0.00s)" {
		t.Errorf("failed %+v, unsteady %+v", failed, unsteady)
	}
}

// A panic ends the tests that run beside the one that panicked; all are run again.
func TestLogAfterAPanic(t *testing.T) {
	var l Log
	for _, line := range []string{
		"=== RUN   TestA", "=== RUN   TestB", "=== NAME  TestB", "    b_test.go:1: begun",
		"--- FAIL: TestA (0.00s)", "panic: index out of range",
	} {
		l.AddLine(line)
	}
	if pattern, ok := Second(2, l.Ended, 1); pattern != "" || !ok {
		t.Errorf("second run: %q, %v", pattern, ok)
	}
	l.Again()
	for _, line := range []string{"--- PASS: TestA (0.00s)", "--- PASS: TestB (0.00s)", "--- PASS: TestC (0.00s)"} {
		l.AddLine(line)
	}
	if got := Count(l.Ended); got != (Counts{Passed: 3}) {
		t.Errorf("after the second run: %v", got)
	}
	failed, unsteady := Failures(l.Ended)
	if len(failed) != 0 || len(unsteady) != 2 || unsteady[1].Output != "did not end: TestB\n    b_test.go:1: begun" {
		t.Errorf("failed %+v, unsteady %+v", failed, unsteady)
	}
}

func TestSecond(t *testing.T) {
	failed := []Result{{Test: "TestA", Outcome: Fail}, {Test: "TestB", Outcome: Fail}}
	parts := []Result{{Test: "TestA/runc/json", Outcome: Fail}, {Test: "TestA/crun", Outcome: Pass}, {Test: "TestA/runc", Outcome: Fail},
		{Test: "TestA/docker_late", Outcome: Fail}, {Test: "TestA", Outcome: Fail}, {Test: "TestAB/podman", Outcome: Fail}}
	for _, c := range []struct {
		status, again int
		all           []Result
		pattern       string
		ok            bool
	}{
		{0, 3, failed, "", false},
		{1, 0, failed, "", false},
		{1, 1, failed, "^(TestA)$|^(TestB)$", false},
		{1, 2, failed, "^(TestA)$|^(TestB)$", true},
		{1, 1, parts, "^(TestA)$/^(runc|docker_late)$", true},
		{1, 2, nil, "", false}, // not a test: something that TestMain found
		{2, 1, failed, "", true},
		{2, 0, failed, "", false},
		{128 + 9, 1, nil, "", true},
	} {
		pattern, ok := Second(c.status, c.all, c.again)
		if pattern != c.pattern || ok != c.ok {
			t.Errorf("status %d, again %d, %d failed: %q, %v; want %q, %v", c.status, c.again, len(c.all), pattern, ok, c.pattern, c.ok)
		}
	}
}
