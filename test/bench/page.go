package main

import (
	"fmt"
	"strings"
)

const pageHead = `# Performance

After this page you can compare the cost of berth with its peers, and measure it on your own
machine: ` + "`make bench`" + ` prints these tables, and ` + "`make bench BENCH='-write docs/performance.md'`" + `
writes this page.

All figures are from network namespaces of one machine that also did other work. Two programs
that are compared took turns in the same run, so read the ratios rather than the times.

- A *time of a process* is from its fork to its exit, as an engine waits for it.
- The *fastest tenth* is the ratio (or difference) of the fastest tenths of both programs, which
  other work on the machine has disturbed least.
- The *middle half* is the range in which the middle half of the ratios lies.
- A *goal* is a limit that berth has set itself; the last column shows whether it is met.
`

// updatePage returns the page with the measured sections in place of its older ones: the
// missed goals first, then all tables, in the order of the parts.
func updatePage(old string, done []*section) string {
	texts := pageSections(old)
	for _, s := range done {
		texts[s.title] = s.markdown()
	}
	var tables strings.Builder
	met, missed := 0, []string{}
	for _, p := range parts {
		text, ok := texts[p.title]
		if !ok {
			continue
		}
		fmt.Fprintf(&tables, "\n## %s\n%s", p.title, text)
		n, m := judgedRows(p.title, text)
		met, missed = met+n, append(missed, m...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d goals are met, %d missed.\n", pageHead, met, len(missed))
	if len(missed) > 0 {
		b.WriteString("The missed ones, with the figures of their rows:\n\n")
	}
	for _, m := range missed {
		fmt.Fprintf(&b, "- %s\n", m)
	}
	return b.String() + tables.String()
}

// pageSections returns the sections of a page by their titles.
func pageSections(page string) map[string]string {
	all := make(map[string]string)
	_, rest, found := strings.Cut(page, "\n## ")
	for found {
		var one string
		one, rest, found = strings.Cut(rest, "\n## ")
		title, text, _ := strings.Cut(one, "\n")
		all[title] = strings.TrimRight(text, "\n") + "\n"
	}
	return all
}

// judgedRows returns the number of rows of a section that met their goals, and the rows that
// missed theirs.
func judgedRows(title, text string) (met int, missed []string) {
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		switch n := len(cells); {
		case n < 3:
		case cells[n-1] == "met":
			met++
		case cells[n-1] == "missed":
			missed = append(missed, fmt.Sprintf("%s; goal %s", strings.Join(append([]string{"*" + title + "*",
				cells[0]}, nonEmpty(cells[1:n-2])...), ", "), cells[n-2]))
		}
	}
	return met, missed
}

func nonEmpty(cells []string) (some []string) {
	for _, c := range cells {
		if c = strings.TrimSpace(c); c != "" {
			some = append(some, c)
		}
	}
	return some
}

// markdown returns the text of a section, below its title.
func (s *section) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n%s\n\n", s.how, strings.Join(s.on, "; ")+".")
	s.markdownTable(&b)
	if len(s.facts) > 0 {
		fmt.Fprintln(&b)
	}
	for _, f := range s.facts {
		fmt.Fprintf(&b, "- %s\n", f)
	}
	return b.String()
}

func (s *section) markdownTable(b *strings.Builder) {
	for i, line := range s.table() {
		fmt.Fprintf(b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(b, "|---%s|\n", strings.Repeat("|---:", len(line)-1))
		}
	}
}
