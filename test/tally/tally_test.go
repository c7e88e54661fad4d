package main

import (
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
	if tally.passed != 1 || tally.failed != 1 || tally.skipped != 1 {
		t.Errorf("passed %d, failed %d, skipped %d", tally.passed, tally.failed, tally.skipped)
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
		if tally.failed != 1 || strings.Count(printed, "because of this") != 1 || !strings.Contains(printed, "FAIL p") {
			t.Errorf("%s: %d failed, printed\n%s", name, tally.failed, printed)
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
