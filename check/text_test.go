package check

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// TestWriteCountsColumns: wide characters move neither the messages nor the end of a line.
func TestWriteCountsColumns(t *testing.T) {
	var b strings.Builder
	message := strings.Repeat("ウェブサーバー ", 12)
	err := Write(&b, []Line{
		{Subject: "parent eth1", Check: "網", Result: Pass, Message: "text " + message},
		{Subject: "parent eth1", Check: "carrier", Result: Pass, Message: "text e\u0301"},
	}, 60)
	if err != nil {
		t.Fatal(err)
	}
	starts := make(map[int]bool)
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		if before, _, ok := strings.Cut(line, "text"); ok {
			starts[ansi.StringWidthWc(before)] = true
		}
		if n := ansi.StringWidthWc(line); n > 60 {
			t.Errorf("%d columns of 60: %q", n, line)
		}
	}
	if len(starts) != 1 {
		t.Errorf("the messages begin at the columns %v:\n%s", starts, &b)
	}
}
