package main

import (
	"os"
	"strings"
	"testing"

	"berth/test/results"
)

// feed passes lines of go test -json to a tally, and returns the tally's output.
func feed(t *testing.T, lines ...string) (*tally, string) {
	t.Helper()
	var out strings.Builder
	tally := newTally(&out, "6.1")
	if err := tally.follow(strings.NewReader(strings.Join(lines, "\n")), nil); err != nil {
		t.Fatal(err)
	}
	return tally, out.String()
}

func TestFailuresPrintOutputAndSkipsReasons(t *testing.T) {
	tally, printed := feed(t,
		`{"Action":"start","Package":"p"}`,
		`{"Action":"run","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
		`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: chatter of one that passes\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}`,
		`{"Action":"run","Package":"p","Test":"TestB"}`,
		`{"Action":"run","Package":"p","Test":"TestB/sub"}`,
		`{"Action":"output","Package":"p","Test":"TestB/sub","Output":"    b_test.go:7: why it fails\n"}`,
		`{"Action":"output","Package":"p","Test":"TestB/sub","Output":"    --- FAIL: TestB/sub (0.00s)\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestB/sub","Elapsed":0}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"--- FAIL: TestB (0.00s)\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestB","Elapsed":0}`,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:3: missing: a radio\n"}`,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"--- SKIP: TestC (0.00s)\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestC","Elapsed":0}`,
		`{"Action":"output","Package":"p","Output":"FAIL\n"}`,
		`{"Action":"fail","Package":"p","Elapsed":2.5}`,
	)
	want := "--- FAIL: TestB of p\n    b_test.go:7: why it fails\n    --- FAIL: TestB/sub (0.00s)\n--- FAIL: TestB (0.00s)\n" +
		"FAIL p  2.5 s, 3 tests, 1 skipped\n"
	if printed != want {
		t.Errorf("printed\n%s\nwant\n%s", printed, want)
	}
	if got := results.Count(tally.results); got != (results.Counts{Passed: 1, Failed: 1, Skipped: 1}) {
		t.Error(got)
	}
	skips := results.Unproven(tally.results)
	if len(skips) != 1 || skips[0] != (results.Result{Package: "p", Test: "TestC", Outcome: "skip", Reason: "missing: a radio", Where: "6.1"}) {
		t.Errorf("skips: %+v", skips)
	}
}

func TestPackagesThatDoNotRunFail(t *testing.T) {
	for name, lines := range map[string][]string{
		"build": {
			`{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: because of this\n"}`,
			`{"ImportPath":"p [p.test]","Action":"build-fail"}`,
			`{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p [p.test]"}`,
		},
		"panic": {
			`{"Action":"run","Package":"p","Test":"TestA"}`,
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: because of this\n"}`,
			`{"Action":"fail","Package":"p","Elapsed":0}`,
		},
		"exit": {
			`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0}`,
			`{"Action":"output","Package":"p","Output":"because of this\n"}`,
			`{"Action":"fail","Package":"p","Elapsed":0}`,
		},
	} {
		tally, printed := feed(t, lines...)
		if tally.failed() != 1 || strings.Count(printed, "because of this") != 1 || !strings.Contains(printed, "FAIL p") {
			t.Errorf("%s: %d failed, printed\n%s", name, tally.failed(), printed)
		}
	}
}

func TestTheVerdictCountsSkips(t *testing.T) {
	for action, want := range map[string]string{
		"pass": "all tests passed\n",
		"skip": "those skipped need another kernel",
		"fail": "1 tests: 0 passed, 1 failed, 0 skipped",
	} {
		var out strings.Builder
		tally := newTally(&out, "")
		tally.addLine(`{"Action":"` + action + `","Package":"p","Test":"TestA","Elapsed":0}`)
		tally.summary()
		if got := out.String(); !strings.Contains(got, want) || (action != "pass") == strings.Contains(got, "all tests passed") {
			t.Errorf("%s:\n%s", action, got)
		}
	}
}

// An unsteady test fails in the first run and passes in the second.
func TestFailedTestsRunAgain(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		again int
		code  int
		want  string
	}{
		"unsteady":     {`if os.Mkdir(os.Getenv("ONCE"), 0o755) == nil { t.Error("too early") }`, 1, 0, "unsteady, passed when run again: TestX of"},
		"failed":       {`t.Error("always")`, 1, 1, "1 failed"},
		"no second":    {`if os.Mkdir(os.Getenv("ONCE"), 0o755) == nil { t.Error("too early") }`, 0, 1, "1 failed"},
		"a panic":      {`panic("always")`, 1, 1, "1 failed"},
		"panic once":   {`if os.Mkdir(os.Getenv("ONCE"), 0o755) == nil { panic("too early") }`, 1, 0, "2 tests: 2 passed, 0 failed"},
		"exit once":    {`if os.Mkdir(os.Getenv("ONCE"), 0o755) == nil { os.Exit(3) }`, 1, 0, "2 tests: 2 passed, 0 failed"},
		"no 2nd panic": {`if os.Mkdir(os.Getenv("ONCE"), 0o755) == nil { panic("too early") }`, 0, 1, "1 failed"},
		"a build":      {`undefined()`, 1, 1, "1 failed"},
		"steady":       {``, 1, 0, "all tests passed"},
		"os.Exit in x": {`os.Exit(3)`, 1, 1, "1 failed"},
	} {
		dir := t.TempDir()
		t.Chdir(dir)
		t.Setenv("ONCE", dir+"/once")
		text := "package x\nimport (\"os\"; \"testing\")\nvar _ = os.Args\nfunc TestX(t *testing.T) {" + c.body + "}\nfunc TestY(*testing.T) {}\n"
		for file, text := range map[string]string{"go.mod": "module x\ngo 1.26\n", "x_test.go": text} {
			if err := os.WriteFile(dir+"/"+file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var out strings.Builder
		tally := newTally(&out, "")
		code, err := tally.runTests(t.Context(), []string{"-count=1", "./..."}, c.again)
		if code != c.code || err != nil || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: status %d, %v; want %d and %q in\n%s", name, code, err, c.code, c.want, &out)
		}
	}
}
