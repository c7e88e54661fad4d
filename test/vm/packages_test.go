package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/test/machine/plan"
	"berth/test/results"
)

func TestTestNames(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "x_live_test.go", `package x
func TestMain(m *testing.M) {}
func TestOne(t *testing.T) {}
func Test_two(t *testing.T) {}
func Testing(t *testing.T) {}
func TestÄ(t *testing.T) {}
func helper() {}
func (x) TestMethod(t *testing.T) {}
func BenchmarkOne(b *testing.B) {}
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := testNames(f), []string{"TestOne", "Test_two", "TestÄ"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFindPackages(t *testing.T) {
	found, err := findPackages(t.Context(), []string{"berth/internal/testnet", "berth/test/vm/guest"})
	if err != nil || len(found) != 1 {
		t.Fatalf("found %d packages, %v; want the one with tests", len(found), err)
	}
	p := found[0]
	if place, err := p.place(); place != "internal/testnet" || err != nil {
		t.Errorf("it is at %q, %v", place, err)
	}
	if live, err := p.live(); len(live) == 0 || err != nil {
		t.Errorf("live tests: %q, %v", live, err)
	}
	if _, err := findPackages(t.Context(), []string{"berth/test/vm/guest"}); err == nil {
		t.Error("no package with tests is no error")
	}
}

func TestLive(t *testing.T) {
	p := &testPackage{Dir: t.TempDir(), TestGoFiles: []string{"a_live_test.go", "b_test.go"}}
	for name, text := range map[string]string{
		"a_live_test.go": "package x\nfunc TestOne(){}\nfunc TestContainerdSays(){}\nfunc TestTwo(){}\n",
		"b_test.go":      "package x\nfunc TestPlain(){}\n",
	} {
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := p.pattern(); got != "^(TestOne|TestTwo)$" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	p.TestGoFiles = p.TestGoFiles[1:]
	if got, err := p.pattern(); got != "." || err != nil {
		t.Errorf("without live tests: %q, %v", got, err)
	}
}

func TestSkippedTestsAreChosen(t *testing.T) {
	const pkg = "berth/internal/testnet"
	skipped := skippedTests([]results.Result{
		{Package: pkg, Test: "TestB/sub", Outcome: results.Skip, Reason: testnet.SkipReason(testnet.VLAN)},
		{Package: pkg, Test: "TestB/other", Outcome: results.Skip, Reason: testnet.SkipReason(testnet.IPvlan)},
		{Package: pkg, Test: "TestA", Outcome: results.Skip, Reason: testnet.SkipReason(testnet.Dummy)},
		{Package: pkg, Test: "TestC", Outcome: results.Skip, Reason: "no docker on the PATH"},
		{Package: pkg, Test: "TestD", Outcome: results.Pass},
	})
	if got := skipped[pkg]; len(skipped) != 1 || !slices.Equal(got, []string{"TestB", "TestA"}) {
		t.Fatalf("skipped: %q", skipped)
	}
	addTests(skipped, []string{"example.org/other.TestD"})
	if got := skipped["example.org/other"]; !slices.Equal(got, []string{"TestD"}) {
		t.Fatalf("added: %q", got)
	}
	p := &testPackage{ImportPath: pkg, skipped: skipped[pkg], only: true}
	if got, err := p.pattern(); got != "^(TestA|TestB)$" || err != nil {
		t.Errorf("pattern %q, %v", got, err)
	}
}

func TestOnlyTheWholeKernelsRunAllTests(t *testing.T) {
	img := &image{few: map[string]string{"berth/hook": exactly([]string{"TestB", "TestA"})}, plan: plan.Plan{Tests: []plan.Test{
		{Package: "berth/hook", Args: []string{"/tests/hook.test", "-test.run=^(TestA|TestB|TestC)$"}},
		{Package: "berth/network", Args: []string{"/tests/network.test", "-test.run=."}},
	}}}
	if got := img.tests(true); !reflect.DeepEqual(got, img.plan.Tests) {
		t.Errorf("whole: %+v", got)
	}
	want := []plan.Test{{Package: "berth/hook",
		Args: []string{"/tests/hook.test", "-test.run=^(TestA|TestB|TestC)$", "-test.run=^(TestA|TestB)$"}}}
	if got := img.tests(false); !reflect.DeepEqual(got, want) {
		t.Errorf("the tests that another kernel skipped: %+v, want %+v", got, want)
	}
}

func TestTheOtherKernelsRunSomePackages(t *testing.T) {
	packages := []*testPackage{
		{ImportPath: "berth/bpf", skipped: []string{"TestA", "TestB"}},
		{ImportPath: "berth/hook", skipped: []string{"TestC"}},
		{ImportPath: "berth/network"},
	}
	for _, c := range []struct {
		others []string
		want   map[string]string
	}{
		{nil, map[string]string{"berth/bpf": "^(TestA|TestB)$", "berth/hook": "^(TestC)$"}},
		{[]string{"berth/bpf", "berth/network"}, map[string]string{"berth/bpf": "^(TestA|TestB)$"}},
	} {
		img := &image{few: map[string]string{}}
		for _, p := range packages {
			img.addFew(&options{others: c.others}, p)
		}
		if !reflect.DeepEqual(img.few, c.want) {
			t.Errorf("-others %q: %q, want %q", c.others, img.few, c.want)
		}
	}
}

func TestChooseWhole(t *testing.T) {
	for _, c := range []struct {
		list, skips, wantErr string
		want                 []string
	}{
		{want: []string{"6.1", "6.12"}},
		{skips: "test.json", want: []string{"6.1", "6.12"}},
		{list: "6.1", skips: "test.json", want: []string{"6.1"}},
		{list: "6.1", wantErr: "without -skips"},
		{list: "6.2", skips: "test.json", wantErr: `"6.2" is none of the kernels`},
	} {
		o := &options{series: []string{"6.1", "6.12"}, skips: c.skips}
		err := o.chooseWhole(c.list)
		if c.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("-whole %q: error %v, want %q", c.list, err, c.wantErr)
			}
		} else if err != nil || !slices.Equal(o.whole, c.want) {
			t.Errorf("-whole %q: %q, %v; want %q", c.list, o.whole, err, c.want)
		}
	}
}
