package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseCosts(t *testing.T) {
	got, err := parseCosts("goos: linux\n" +
		"BenchmarkDatapath/bare-look-ups-1/1-2         \t       1\t        57.00 ns/frame\t        28.00 ns/frame-above-empty\n" +
		"BenchmarkDatapath/1-egress/10000-2 \t       1\t        66.00 ns/frame\t        37.50 ns/frame-above-empty\t 1.25 to-bare\nok\n")
	want := []cost{
		{"bare-look-ups-1", 1, map[string]float64{"ns/frame": 57, "ns/frame-above-empty": 28}},
		{"1-egress", 10000, map[string]float64{"ns/frame": 66, "ns/frame-above-empty": 37.5, "to-bare": 1.25}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseCosts("FAIL\n"); err == nil || !strings.Contains(err.Error(), "FAIL") {
		t.Errorf("no figures: got %v", err)
	}
}

func costWith(name string, ratio float64) cost {
	return cost{name, 1, map[string]float64{"ns/frame-above-empty": 10 * ratio, "to-bare": ratio}}
}

func TestFrameSectionJudges(t *testing.T) {
	s, err := frameSection([]cost{
		costWith("bare-look-ups-1", 1), costWith("1-egress", 1.31), costWith("1-ingress", 1.3),
		costWith("2-sibling", 0.71), costWith("2-sibling-cold", 0.79), costWith("0-egress-host", 9), costWith("2-sibling", 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	for _, r := range s.rows {
		verdicts = append(verdicts, r.verdict())
	}
	if want := []string{"", "missed", "met", "missed", "met", "", "missed"}; !slices.Equal(verdicts, want) {
		t.Errorf("got %q, want %q", verdicts, want)
	}
}

// TestAgainstSection compares the costs of the same frames only.
func TestAgainstSection(t *testing.T) {
	this := [][]cost{{costWith("1-egress", 1), costWith("2-sibling", 2)}, {costWith("1-egress", 3), costWith("2-sibling", 2)}}
	other := [][]cost{{costWith("1-egress", 2)}, {costWith("1-egress", 2)}}
	s := againstSection(this, other)
	want := []string{"a container's, leaving", "1", "20.0 ns", "30.0 ns", "1.50×", "0.500 to 1.500"}
	if len(s.rows) != 1 || !slices.Equal(s.rows[0].cells, want) {
		t.Errorf("got %+v, want one row of %q", s.rows, want)
	}
}
