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
		17: `
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

// TestNarrowTable: a table that cannot be shortened enough loses its spare columns, and then is
// written as blocks, in which only values that are never shortened may be wider than the terminal.
func TestNarrowTable(t *testing.T) {
	tab := table{head: []string{"NAME", "MAC", "RX", "TX", "NETWORKS"}, whole: []string{"MAC", "RX", "TX"}}
	tab.addLines([]string{"eth1.100"}, []string{"02:00:5e:00:53:01"}, []string{"1.23 MB"}, []string{"38.0 kB"},
		[]string{"production-network", "網網網網網網網網網"})
	tab.addNote("does not exist yet")
	tab.addRow("eth2", "", "0 B", "0 B", "")
	spare := tab
	spare.spare = [][]string{{"RX", "TX"}}
	for _, c := range []struct {
		of    *table
		width int
		want  string
	}{
		{&tab, 60, `
NAME      MAC                RX       TX       NETWORKS
eth1.100  02:00:5e:00:53:01  1.23 MB  38.0 kB  production-n…
                                               網網網網網網…
  does not exist yet
eth2      -                  0 B      0 B      -
`}, {&tab, 30, `
NAME      eth1.100
MAC       02:00:5e:00:53:01
RX        1.23 MB
TX        38.0 kB
NETWORKS  production-network
          網網網網網網網網網
  does not exist yet

NAME      eth2
MAC       -
RX        0 B
TX        0 B
NETWORKS  -
`}, {&tab, 20, `
NAME      eth1.100
MAC       02:00:5e:00:53:01
RX        1.23 MB
TX        38.0 kB
NETWORKS  productio…
          網網網網…
  does not exist yet

NAME      eth2
MAC       -
RX        0 B
TX        0 B
NETWORKS  -
`}, {&spare, 40, `
NAME      MAC                NETWORKS
eth1.100  02:00:5e:00:53:01  production…
                             網網網網網…
  does not exist yet
eth2      -                  -
`},
	} {
		var b strings.Builder
		if err := c.of.writeTable(&b, c.width); err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "table", c.want, b.String())
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
