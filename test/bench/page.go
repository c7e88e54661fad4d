package main

import (
	"fmt"
	"strings"
)

const pageHead = `# Performance

Written by ` + "`make bench BENCH='-write docs/performance.md'`" + `; without the flag it prints the same.
After this page you can compare the cost of berth with its peers. All figures are from
network namespaces of one machine. Two programs that are compared took turns in the
same run, so read the ratios rather than the times.

`

// markdown returns the page: the missed goals first, then all tables.
func markdown(c *circumstances, all []*section) string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, line := range c.lines() {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	met, missed := 0, []string{}
	for _, s := range all {
		for _, r := range s.rows {
			switch {
			case r.goal == "":
			case r.met:
				met++
			default:
				missed = append(missed, fmt.Sprintf("%s: %s (%s, goal %s)", s.title, r.cells[0], strings.Join(nonEmpty(r.cells[1:]), ", "), r.goal))
			}
		}
	}
	fmt.Fprintf(&b, "\n%d goals are met, %d missed.\n", met, len(missed))
	for _, m := range missed {
		fmt.Fprintf(&b, "- missed: %s\n", m)
	}
	for _, s := range all {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.title, s.how)
		s.markdownTable(&b)
		if len(s.facts) > 0 {
			fmt.Fprintln(&b)
		}
		for _, f := range s.facts {
			fmt.Fprintf(&b, "- %s\n", f)
		}
	}
	return b.String()
}

func nonEmpty(cells []string) (some []string) {
	for _, c := range cells {
		if c != "" {
			some = append(some, c)
		}
	}
	return some
}

func (s *section) markdownTable(b *strings.Builder) {
	for i, line := range s.table() {
		fmt.Fprintf(b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(b, "|---%s|\n", strings.Repeat("|---:", len(line)-1))
		}
	}
}
