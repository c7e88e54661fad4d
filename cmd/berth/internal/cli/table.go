package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is rows of cells under a head. A cell may have several lines.
type table struct {
	head []string
	rows [][][]string // rows of cells of lines
}

const (
	columnGap   = 2
	columnLeast = 6  // narrower no column is made to fit a width
	noLimit     = -1 // a width that shortens nothing
)

// add adds a row of cells of one line each.
func (t *table) add(cells ...string) {
	row := make([][]string, len(cells))
	for i, cell := range cells {
		row[i] = []string{cell}
	}
	t.addLines(row...)
}

// addLines adds a row of cells of several lines. A newline inside a line is
// text that cannot be printed: it begins no other one.
func (t *table) addLines(cells ...[]string) {
	row := make([][]string, len(cells))
	for i, lines := range cells {
		for _, line := range lines {
			row[i] = append(row[i], printable(line))
		}
		if len(lines) == 0 || len(lines) == 1 && lines[0] == "" {
			row[i] = []string{dash("")}
		}
	}
	t.rows = append(t.rows, row)
}

// all is the head and the rows.
func (t *table) all() [][][]string {
	head := make([][]string, len(t.head))
	for i, title := range t.head {
		head[i] = []string{title}
	}
	return append([][][]string{head}, t.rows...)
}

// write prints the table. Where it is wider than width, the widest columns
// are shortened; "…" stands for what was cut.
func (t *table) write(w io.Writer, width int) error {
	widths := t.widths()
	shrink(widths, width)
	var b strings.Builder
	for _, row := range t.all() {
		writeRow(&b, row, widths)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fits reports whether the table needs no shortening.
func (t *table) fits(width int) bool { return total(t.widths()) <= width }

func (t *table) widths() []int {
	widths := make([]int, len(t.head))
	for _, row := range t.all() {
		for i, cell := range row {
			for _, line := range cell {
				widths[i] = max(widths[i], utf8.RuneCountInString(line))
			}
		}
	}
	return widths
}

func total(widths []int) int {
	sum := columnGap * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// shrink takes a column from the widest, again and again, until all fit.
func shrink(widths []int, width int) {
	for width != noLimit && total(widths) > width {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= columnLeast {
			return
		}
		widths[widest]--
	}
}

func writeRow(b *strings.Builder, cells [][]string, widths []int) {
	height := 0
	for _, lines := range cells {
		height = max(height, len(lines))
	}
	for line := range height {
		var text strings.Builder
		for i, lines := range cells {
			cell := ""
			if line < len(lines) {
				cell = shorten(lines[line], widths[i])
			}
			fmt.Fprintf(&text, "%-*s", widths[i]+columnGap, cell)
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
}

func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}
