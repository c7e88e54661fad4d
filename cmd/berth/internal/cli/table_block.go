package cli

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// withoutColumns returns the table without the columns of these titles.
func (t *table) withoutColumns(titles []string) *table {
	out := *t
	out.head, out.rows = nil, make([][][]string, len(t.rows))
	for i, title := range t.head {
		if slices.Contains(titles, title) {
			continue
		}
		out.head = append(out.head, title)
		for j, row := range t.rows {
			out.rows[j] = append(out.rows[j], row[i])
		}
	}
	return &out
}

// writeBlocks writes each row as a block with a line for each cell, for a terminal that is too
// narrow for the columns.
func (t *table) writeBlocks(b *strings.Builder, width int) {
	indent := 0
	for _, title := range t.head {
		indent = max(indent, ansi.StringWidthWc(title)+columnGap)
	}
	for i, row := range t.rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		for j, lines := range row {
			title := t.head[j]
			for _, line := range lines {
				if !slices.Contains(t.whole, t.head[j]) {
					line = shortenText(line, max(columnLeast, width-indent))
				}
				b.WriteString(padText(title, indent) + line + "\n")
				title = ""
			}
		}
		if note := t.notes[i]; note != "" {
			writeNote(b, note, width)
		}
	}
}
