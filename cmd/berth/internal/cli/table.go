package cli

import (
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// table is rows of cells under a head. A cell may have several lines.
type table struct {
	head  []string
	rows  [][][]string   // rows of cells of lines
	whole []string       // titles of columns that are never shortened
	spare [][]string     // groups of columns that a narrow terminal does not show, the first group first
	notes map[int]string // texts below a row, by its index
}

// addNote adds a text below the last row, over all columns.
func (t *table) addNote(text string) {
	if t.notes == nil {
		t.notes = make(map[int]string)
	}
	if text != "" {
		t.notes[len(t.rows)-1] = printable(text)
	}
}

const (
	columnGap   = 2
	columnLeast = 6  // minimum width of a shortened column
	noLimit     = -1 // a width without shortening
)

// addRow adds a row of cells of one line each.
func (t *table) addRow(cells ...string) {
	row := make([][]string, len(cells))
	for i, cell := range cells {
		row[i] = []string{cell}
	}
	t.addLines(row...)
}

// addLines adds a row of cells of several lines. A newline inside a line is escaped: it
// begins no other line.
func (t *table) addLines(cells ...[]string) {
	row := make([][]string, len(cells))
	for i, lines := range cells {
		for _, line := range lines {
			row[i] = append(row[i], printable(line))
		}
		if len(lines) == 0 || len(lines) == 1 && lines[0] == "" {
			row[i] = []string{dashIfEmpty("")}
		}
	}
	t.rows = append(t.rows, row)
}

// allRows returns the head and the rows.
func (t *table) allRows() [][][]string {
	head := make([][]string, len(t.head))
	for i, title := range t.head {
		head[i] = []string{title}
	}
	return append([][][]string{head}, t.rows...)
}

// writeTable prints the table. If it is wider than width, the widest columns are shortened, with
// "…" for the part cut off. If that is not enough, spare columns are left out, and then each row
// becomes a block.
func (t *table) writeTable(w io.Writer, width int) error {
	for _, titles := range t.spare {
		if !t.canShrink(width) {
			t = t.withoutColumns(titles)
		}
	}
	var b strings.Builder
	if !t.canShrink(width) {
		t.writeBlocks(&b, width)
		_, err := io.WriteString(w, b.String())
		return err
	}
	widths := t.columnWidths()
	t.shrinkColumns(widths, width)
	for i, row := range t.allRows() {
		writeRow(&b, row, widths)
		if note := t.notes[i-1]; note != "" { // the head is row 0 of all
			writeNote(&b, note, width)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fitsWidth reports whether the table needs no shortening.
func (t *table) fitsWidth(width int) bool { return totalWidth(t.columnWidths()) <= width }

// canShrink reports whether the table fits after shortening.
func (t *table) canShrink(width int) bool {
	widths := t.columnWidths()
	t.shrinkColumns(widths, width)
	return width == noLimit || totalWidth(widths) <= width
}

func (t *table) columnWidths() []int {
	widths := make([]int, len(t.head))
	for _, row := range t.allRows() {
		for i, cell := range row {
			for _, line := range cell {
				widths[i] = max(widths[i], ansi.StringWidthWc(line))
			}
		}
	}
	return widths
}

func totalWidth(widths []int) int {
	sum := columnGap * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// shrinkColumns narrows the widest column that may be shortened, again and again, until all fit.
func (t *table) shrinkColumns(widths []int, width int) {
	for width != noLimit && totalWidth(widths) > width {
		widest := -1
		for i, w := range widths {
			if !slices.Contains(t.whole, t.head[i]) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 || widths[widest] <= columnLeast {
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
				cell = shortenText(lines[line], widths[i])
			}
			text.WriteString(padText(cell, widths[i]+columnGap))
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
}

// writeNote writes a text in lines of at most width columns, indented.
func writeNote(b *strings.Builder, note string, width int) { writeWrapped(b, "  ", note, width) }

// writeWrapped writes a text after head, in lines of at most width columns. Further lines begin below
// the text. A word that is longer than a line stays whole.
func writeWrapped(b *strings.Builder, head, text string, width int) {
	line, isEmpty := head, true
	for _, word := range strings.Fields(text) {
		if !isEmpty && width != noLimit && ansi.StringWidthWc(line+" "+word) > width {
			b.WriteString(line + "\n")
			line, isEmpty = strings.Repeat(" ", len(head)), true
		}
		if !isEmpty {
			line += " "
		}
		line, isEmpty = line+word, false
	}
	b.WriteString(line + "\n")
}

// padText adds blanks to a text up to a number of the terminal's columns.
func padText(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidthWc(s)))
}

// shortenText cuts a text to a number of the terminal's columns.
func shortenText(s string, width int) string {
	if ansi.StringWidthWc(s) <= width {
		return s
	}
	return ansi.TruncateWc(s, width, "…")
}
