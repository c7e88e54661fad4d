package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A section is the result of a part.
type section struct {
	title string
	how   string // in a sentence or two
	took  time.Duration
	on    []string // machine, date and load

	head  []string
	rows  []row
	facts []string // sentences that belong to no row
}

// A row is one comparison. Its goal is "" if there is none.
type row struct {
	cells []string
	goal  string
	met   bool
}

// addRow adds a row without a goal.
func (s *section) addRow(cells ...string) { s.rows = append(s.rows, row{cells: cells}) }

// judge adds a row with a goal.
func (s *section) judge(goal string, met bool, cells ...string) {
	s.rows = append(s.rows, row{cells, goal, met})
}

func (s *section) fact(format string, args ...any) {
	s.facts = append(s.facts, fmt.Sprintf(format, args...))
}

// table returns the rows as text, with the goals as the last two columns.
func (s *section) table() [][]string {
	all := [][]string{append(s.head[:len(s.head):len(s.head)], "goal", "")}
	for _, r := range s.rows {
		line := make([]string, len(s.head), len(s.head)+2)
		copy(line, r.cells)
		all = append(all, append(line, r.goal, r.verdict()))
	}
	return all
}

func (r row) verdict() string {
	switch {
	case r.goal == "":
		return ""
	case r.met:
		return "met"
	}
	return "missed"
}

// print prints a section for a terminal.
func (s *section) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s (%.0f s)\n%s\n\n", s.title, s.took.Seconds(), s.how)
	table := s.table()
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range table {
		var b strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	if len(s.facts) > 0 {
		fmt.Fprintln(w)
	}
	for _, f := range s.facts {
		fmt.Fprintln(w, "  -", f)
	}
}
