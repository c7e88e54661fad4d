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
	rows [][]string
}

const (
	columnGap   = 2
	columnLeast = 6  // narrower no column is made to fit a width
	noLimit     = -1 // a width that shortens nothing
)

func (t *table) add(cells ...string) {
	for i, cell := range cells {
		lines := strings.Split(cell, "\n")
		for j, line := range lines {
			lines[j] = printable(line)
		}
		cells[i] = dash(strings.Join(lines, "\n"))
	}
	t.rows = append(t.rows, cells)
}

// write prints the table. Where it is wider than width, the widest columns
// are shortened; "…" stands for what was cut.
func (t *table) write(w io.Writer, width int) error {
	widths := t.widths()
	shrink(widths, width)
	var b strings.Builder
	for _, row := range append([][]string{t.head}, t.rows...) {
		writeRow(&b, row, widths)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fits reports whether the table needs no shortening.
func (t *table) fits(width int) bool { return total(t.widths()) <= width }

func (t *table) widths() []int {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			for line := range strings.Lines(cell) {
				widths[i] = max(widths[i], utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
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

func writeRow(b *strings.Builder, row []string, widths []int) {
	cells := make([][]string, len(row))
	height := 0
	for i, cell := range row {
		cells[i] = strings.Split(cell, "\n")
		height = max(height, len(cells[i]))
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
