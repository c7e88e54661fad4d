package cli

import (
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

func TestWriteTable(t *testing.T) {
	tab := table{head: []string{"NAME", "SUBNETS", "N"}}
	tab.addLines([]string{"lan"}, []string{"192.0.2.0/24", "2001:db8::/64"}, []string{"3"})
	tab.addRow("a-rather-long-name", "", "0")
	for width, want := range map[int]string{
		noLimit: `
NAME                SUBNETS        N
lan                 192.0.2.0/24   3
                    2001:db8::/64
a-rather-long-name  -              0
`,
		28: `
NAME         SUBNETS       N
lan          192.0.2.0/24  3
             2001:db8::/…
a-rather-l…  -             0
`,
		1: `
NAME    SUBNE…  N
lan     192.0…  3
        2001:…
a-rat…  -       0
`,
	} {
		var b strings.Builder
		if err := tab.writeTable(&b, width); err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "table", want, b.String())
	}
	if tab.fitsWidth(34) || !tab.fitsWidth(36) {
		t.Error("fits is wrong about a width of 36")
	}
}

// TestWidthsAreTheSameOnEveryTerminal: a text has the same width on a terminal that adds up
// the widths of code points and on one that uses those of grapheme clusters.
func TestWidthsAreTheSameOnEveryTerminal(t *testing.T) {
	for _, s := range []string{
		"web-0", "網", "ウェブ", "ｱ", "ｗ", "하", "e\u0301", "ก็", "🚀", "⌚", "☁\ufe0f", "❤\ufe0f", "1\ufe0f\u20e3",
		"\U0001F1E9\U0001F1EA", "👍\U0001F3FD", "👨\u200d👩\u200d👧", "🏴\U000E0067\U000E007F", "\x1b[m\u202e", "⌚\ufe0e",
	} {
		s = printable(s)
		sum := 0
		for _, r := range s {
			if !unicode.In(r, unicode.Mn, unicode.Me) { // they combine, and have no width of their own
				sum += ansi.StringWidthWc(string(r))
			}
		}
		if points, clusters := ansi.StringWidthWc(s), ansi.StringWidth(s); points != sum || clusters != sum {
			t.Errorf("%+q: %d columns by code points, %d by clusters, %d by both", s, sum, clusters, points)
		}
	}
}

// TestTableIsPrintable: a container's name, chosen by the user who starts it, must not
// control a terminal.
func TestTableIsPrintable(t *testing.T) {
	tab := table{head: []string{"NAME"}}
	tab.addRow("\x1b[2Jweb\a\u202e")
	tab.addRow("two\nlines\tand\x00more")
	tab.addLines([]string{"two\nlines", "another"})
	var b strings.Builder
	if err := tab.writeTable(&b, noLimit); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "table", "NAME\n\ufffd[2Jweb\ufffd\ufffd\ntwo\ufffdlines\ufffdand\ufffdmore\ntwo\ufffdlines\nanother\n", b.String())
}
