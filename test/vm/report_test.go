package main

import (
	"slices"
	"strings"
	"testing"

	"berth/test/machine/plan"
	"berth/test/results"
)

const testMark = "::mark "

// reportLines writes the output of a machine to a report, in small pieces, and returns
// the printed lines.
func reportLines(t *testing.T, r *report, parts ...any) string {
	t.Helper()
	var printed, written strings.Builder
	r.out, r.mark = &printed, testMark
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			written.WriteString(part)
		case plan.Event:
			line, err := part.Line(testMark)
			if err != nil {
				t.Fatal(err)
			}
			written.Write(line)
		}
	}
	reader := r.reader()
	for chunk := range slices.Chunk([]byte(written.String()), 7) {
		if n, err := reader.Write(chunk); n != len(chunk) || err != nil {
			t.Fatal(n, err)
		}
	}
	return printed.String()
}

func ended(name string, status int) plan.Event {
	return plan.Event{What: plan.End, Name: name, Status: status, Seconds: 1.25}
}

var (
	begun   = plan.Event{What: plan.Begin, Name: "p"}
	allDone = plan.Event{What: plan.Done}
)

func TestReportOfAPassingMachine(t *testing.T) {
	r := &report{prefix: "6.1| ", missing: []string{"p"}}
	got := reportLines(t, r, plan.Event{What: plan.Booted, Name: "6.1.0", Seconds: 4.5}, begun,
		"=== RUN   TestA\n    a_test.go:1: chatter\n--- PASS: TestA (0.00s)\n",
		"=== RUN   TestB\n    b_test.go:1: missing\n--- SKIP: TestB (0.00s)\nPASS\n", ended("p", 0), allDone)
	want := "6.1| kernel 6.1.0, up in 4.5 s\n" +
		"6.1|     b_test.go:1: missing\n6.1| --- SKIP: TestB (0.00s)\n" +
		"6.1| ok   p 1.2s (1 passed, 1 skipped, 0 failed; exit status 0)\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	outcomes := []results.Result{
		{Package: "p", Test: "TestA", Outcome: results.Pass, Where: "6.1"},
		{Package: "p", Test: "TestB", Outcome: results.Skip, Reason: "missing", Where: "6.1"},
	}
	if !slices.Equal(r.results, outcomes) {
		t.Errorf("outcomes %+v, want %+v", r.results, outcomes)
	}
	if why := r.verdict(); why != nil {
		t.Errorf("failed: %q", why)
	}
}

func TestReportShowsAllOfAFailure(t *testing.T) {
	r := &report{missing: []string{"p"}}
	got := reportLines(t, r, begun,
		"=== RUN   TestA\n=== RUN   TestA/x\n=== PAUSE TestA/x\n=== RUN   TestB\n--- PASS: TestB (0.00s)\n",
		"=== CONT  TestA/x\n    a_test.go:2: wrong\n--- FAIL: TestA (0.10s)\n    --- FAIL: TestA/x (0.10s)\nFAIL\n",
		ended("p", 1), allDone)
	for _, want := range []string{"a_test.go:2: wrong\n", "--- FAIL: TestA/x (0.10s)\n", "FAIL p 1.2s (1 passed, 0 skipped, 1 failed; exit status 1)\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if why := r.verdict(); len(why) != 1 {
		t.Errorf("verdict %q", why)
	}
}

func TestReportOfAFailedMachine(t *testing.T) {
	pass := "=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n"
	for name, parts := range map[string][]any{
		"silence":                     {},
		"no end of the plan":          {begun, pass, ended("p", 0)},
		"no verdict on a package":     {begun, pass, allDone},
		"another package's verdict":   {begun, pass, ended("p", 0), ended("q", 0), allDone},
		"exit status":                 {begun, pass, ended("p", 2), allDone},
		"killed":                      {begun, pass, ended("p", 137), allDone},
		"no test ran":                 {begun, "testing: warning: no tests to run\nPASS\n", ended("p", 0), allDone},
		"the guest could not":         {plan.Event{What: plan.Broken, Name: "no module"}, begun, pass, ended("p", 0), allDone},
		"a torn event":                {begun, pass, "\n" + testMark + "{\"What\n", ended("p", 0), allDone},
		"an event without its mark":   {begun, pass, "\n{\"What\":\"end\",\"Name\":\"p\"}\n", allDone},
		"an event with a mark before": {begun, pass, "x" + testMark + "{\"What\":\"end\",\"Name\":\"p\"}\n", allDone},
	} {
		r := &report{missing: []string{"p"}}
		reportLines(t, r, parts...)
		if len(r.verdict()) == 0 {
			t.Errorf("%s: passed", name)
		}
	}
}

// The output of a test is printed even if its binary panicked or its machine died.
func TestReportOfTestsThatDidNotEnd(t *testing.T) {
	r := &report{missing: []string{"p"}}
	got := reportLines(t, r, begun, "=== RUN   TestA\n    a_test.go:3: last words\npanic: oh\n", ended("p", 2))
	if !strings.Contains(got, "=== TestA\n    a_test.go:3: last words\npanic: oh\nFAIL p") {
		t.Errorf("got\n%s", got)
	}
}

func TestReportVerbose(t *testing.T) {
	r := &report{verbose: true, missing: []string{"p"}}
	text := "=== RUN   TestA\n    a_test.go:1: chatter\n--- PASS: TestA (0.00s)\nPASS\n"
	if got := reportLines(t, r, begun, text, ended("p", 0)); !strings.Contains(got, text) || !strings.Contains(got, "1 passed") {
		t.Errorf("got\n%s", got)
	}
}

func TestReportOfChosenTests(t *testing.T) {
	none := []any{begun, "testing: warning: no tests to run\nPASS\n", ended("p", 0)}
	some := []any{plan.Event{What: plan.Begin, Name: "q"}, "--- PASS: TestA (0.00s)\n", ended("q", 0), allDone}
	r := &report{chosen: true, missing: []string{"p", "q"}}
	reportLines(t, r, append(none, some...)...)
	if why := r.verdict(); why != nil {
		t.Errorf("one of two packages has the test: %q", why)
	}
	r = &report{chosen: true, missing: []string{"p"}}
	reportLines(t, r, append(none, allDone)...)
	if len(r.verdict()) == 0 {
		t.Error("no test ran: passed")
	}
}

func TestReportOfASecondRun(t *testing.T) {
	again := plan.Event{What: plan.Again, Name: "p"}
	first := "=== RUN   TestA\n    a_test.go:1: late\n--- FAIL: TestA (0.10s)\n=== RUN   TestB\n--- PASS: TestB (0.00s)\nFAIL\n"
	r := &report{missing: []string{"p"}}
	got := reportLines(t, r, begun, first, again, "=== RUN   TestA\n--- PASS: TestA (0.10s)\nPASS\n", ended("p", 0), allDone)
	if why := r.verdict(); why != nil || !strings.Contains(got, "ok   p 1.2s (2 passed, 0 skipped, 0 failed; exit status 0)") {
		t.Errorf("verdict %q on\n%s", why, got)
	}
	r = &report{missing: []string{"p"}}
	reportLines(t, r, begun, first, again, "=== RUN   TestA\n--- FAIL: TestA (0.10s)\nFAIL\n", ended("p", 1), allDone)
	if len(r.verdict()) == 0 {
		t.Error("a test failed twice: passed")
	}
}

// A machine that dies of the emulator's fault leaves the packages without a verdict to the
// next one.
func TestReportOfASecondMachine(t *testing.T) {
	r := &report{missing: []string{"p", "q"}}
	reportLines(t, r, begun, "=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n", ended("p", 0),
		plan.Event{What: plan.Begin, Name: "q"}, "=== RUN   TestB\n    b_test.go:1: chatter\n")
	r.flush()
	if !slices.Equal(r.missing, []string{"q"}) || len(r.verdict()) == 0 {
		t.Fatalf("after the first machine: missing %q, verdict %q", r.missing, r.verdict())
	}
	reportLines(t, r, plan.Event{What: plan.Begin, Name: "q"}, "=== RUN   TestB\n--- PASS: TestB (0.00s)\nPASS\n", ended("q", 0), allDone)
	if why := r.verdict(); why != nil || r.total.Passed != 2 {
		t.Errorf("after the second machine: verdict %q, %v", why, r.total)
	}
}

func TestEmulatorsFault(t *testing.T) {
	const double = "[  353.743785] Oops: double fault: 0000 [#1] PREEMPT SMP NOPTI"
	const compare = "Code: 18 48 0f c9 48 31 cb 48 8d 8a 00 20 00 00 65 48 0f c7 0e 75 90 <41> 8b 44 24 28"
	for _, c := range []struct {
		lines []string
		want  bool
	}{
		{[]string{"[  366.219764] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"}, true},
		{[]string{double, compare}, true},
		{[]string{double, "Code: 18 48 0f c9 48 31 cb 48 8d 8a 00 20 00 00 <65> 48 0f c7 0e 75 90 41"}, false},
		{[]string{double}, false},
		{[]string{compare}, false},
		{[]string{"[    3.000000] Oops: general protection fault: 0000 [#1] PREEMPT"}, false},
		{[]string{"[    3.000000] Kernel panic - not syncing: Attempted to kill init"}, false},
	} {
		if got := isEmulatorsFault(slices.Concat([]string{"before"}, c.lines, []string{"after"})); got != c.want {
			t.Errorf("%q: %t", c.lines, got)
		}
	}
}
