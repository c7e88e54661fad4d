package main

import (
	"slices"
	"strings"
	"testing"
)

func TestParseCosts(t *testing.T) {
	got, err := parseCosts("goos: linux\n" +
		"BenchmarkDatapath/bare-look-ups-1/1-2         \t       1\t        57.00 ns/frame\t        28.00 ns/frame-above-empty\n" +
		"BenchmarkDatapath/1-egress/10000-2 \t       1\t        66.00 ns/frame\t        37.50 ns/frame-above-empty\nok\n")
	want := []cost{{"bare-look-ups-1", 1, 57, 28}, {"1-egress", 10000, 66, 37.5}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseCosts("FAIL\n"); err == nil || !strings.Contains(err.Error(), "FAIL") {
		t.Errorf("no figures: got %v", err)
	}
}

func TestFrameSectionJudges(t *testing.T) {
	s, err := frameSection([]cost{{"bare-look-ups-1", 1, 57, 28}, {"1-egress", 1, 80, 51}, {"1-ingress", 1, 79, 50}})
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	for _, r := range s.rows {
		verdicts = append(verdicts, r.verdict())
	}
	if want := []string{"", "missed", "met"}; !slices.Equal(verdicts, want) {
		t.Errorf("got %q, want %q", verdicts, want)
	}
}
