package main

import (
	"strings"
	"testing"
)

// TestUpdatePage replaces the section of a part that was measured again, and keeps the
// others with their goals.
func TestUpdatePage(t *testing.T) {
	attach := &section{title: "Attach and detach", how: "Old.", on: []string{"one machine"}, head: []string{"what", "time"}}
	attach.judge("≤ 1 ms", false, "attach", "2 ms")
	frame := &section{title: "What a frame costs", how: "Frames.", on: []string{"one machine"}, head: []string{"frame", "ratio"}}
	frame.judge("≤ 1.3×", true, "to a container", "1.2×")
	frame.judge("≤ 0.7×", false, "between two", "")
	page := updatePage("", []*section{frame, attach})
	for _, want := range []string{
		"\n1 goals are met, 2 missed.\nThe missed ones, with the figures of their rows:\n\n" +
			"- *Attach and detach*, attach, 2 ms; goal ≤ 1 ms\n- *What a frame costs*, between two; goal ≤ 0.7×\n",
		"\n## Attach and detach\n\nOld.\n\none machine.\n\n| what | time | goal |  |\n|---|---:|---:|---:|\n| attach | 2 ms | ≤ 1 ms | missed |\n\n## What a frame costs\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
	if again := updatePage(page, nil); again != page {
		t.Errorf("without a new section:\n%s\nwas\n%s", again, page)
	}
	attach.rows[0].met = true
	attach.how = "New."
	if page = updatePage(page, []*section{attach}); !strings.Contains(page, "2 goals are met, 1 missed") || strings.Contains(page, "Old.") || !strings.Contains(page, "Frames.") {
		t.Errorf("after a new section:\n%s", page)
	}
}
