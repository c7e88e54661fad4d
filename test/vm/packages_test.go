package main

import (
	"go/parser"
	"go/token"
	"slices"
	"testing"
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
	if len(p.live()) == 0 {
		t.Error("no live tests found")
	}
	if _, err := findPackages(t.Context(), []string{"berth/test/vm/guest"}); err == nil {
		t.Error("no package with tests is no error")
	}
}

func TestIn(t *testing.T) {
	p := &testPackage{}
	p.Module.Path = "berth"
	for path, want := range map[string]bool{
		"berth/test": true, "berth/test/lab": true, "berth/agent/names": true,
		"berth/internal/testnet": false, "berth/agent": false, "berth/testing": false,
	} {
		p.ImportPath = path
		if got := p.in([]string{"agent/names", "test"}); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
