package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"berth/internal/text"
)

// leastText is the minimum width to which text is wrapped, in columns.
const leastText = 30

// Write prints lines for people, wrapped to a width in columns: a heading per subject, a
// line per check with its remedy indented below, and the sums.
func Write(w io.Writer, lines []Line, width int) error {
	name := 0
	for _, l := range lines {
		name = max(name, ansi.StringWidthWc(printable(l.Check)))
	}
	indent := len("  pass  ") + name + 2
	var b strings.Builder
	sums := make(map[Result]int)
	for i, l := range lines {
		if i == 0 || lines[i-1].Subject != l.Subject {
			b.WriteString(printable(l.Subject) + "\n")
		}
		check := printable(l.Check)
		head := fmt.Sprintf("  %s  %s%s  ", l.Result, check, strings.Repeat(" ", name-ansi.StringWidthWc(check)))
		writeWrapped(&b, head, l.Message, indent, width)
		if l.Remedy != "" {
			writeRemedy(&b, strings.Repeat(" ", indent)+"→ ", l.Remedy, indent+2, width)
		}
		sums[l.Result]++
	}
	fmt.Fprintf(&b, "%d pass, %d warn, %d fail\n", sums[Pass], sums[Warn], sums[Fail])
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRemedy writes prose wrapped, and each command on its own line: a broken one would
// run as two when pasted.
func writeRemedy(b *strings.Builder, head, remedy string, indent, width int) {
	for i, part := range strings.Split(printable(remedy), "`") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if isCommand := i%2 == 1; isCommand {
			b.WriteString(head + part + "\n")
		} else {
			writeWrapped(b, head, part, indent, width)
		}
		head = strings.Repeat(" ", indent)
	}
}

// writeWrapped writes text after head, with continuation lines indented. It breaks no
// words: a path that is too long for a line can still be copied.
func writeWrapped(b *strings.Builder, head, text string, indent, width int) {
	room := max(width-indent, leastText)
	b.WriteString(head)
	used := 0
	for i, word := range strings.Fields(printable(text)) {
		size := ansi.StringWidthWc(word)
		switch {
		case i == 0:
		case used+1+size > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += size
	}
	b.WriteByte('\n')
}

// printable makes foreign text safe for a terminal, on one line: names come from containers
// and engines.
func printable(s string) string { return text.Printable(oneLine.Replace(s)) }

var oneLine = strings.NewReplacer("\n", " ", "\t", " ")
