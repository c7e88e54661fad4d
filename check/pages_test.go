package check

import (
	"os"
	"strings"
	"testing"
)

// TestPageShowsAttached requires that the example of check --attached in docs/commands.md is
// a golden report.
func TestPageShowsAttached(t *testing.T) {
	golden, err := os.ReadFile("testdata/attached.golden")
	if err != nil {
		t.Fatal(err)
	}
	_, report, _ := strings.Cut(string(golden), "== another MAC\n")
	report, _, _ = strings.Cut(report, "== ")
	page, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "# berth check --attached web\n"+report+"```\n") {
		t.Errorf("docs/commands.md does not show\n%s", report)
	}
}
