package cli

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	tab := table{head: []string{"NAME", "SUBNETS", "N"}}
	tab.addLines([]string{"lan"}, []string{"192.0.2.0/24", "2001:db8::/64"}, []string{"3"})
	tab.add("a-rather-long-name", "", "0")
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
		if err := tab.write(&b, width); err != nil {
			t.Fatal(err)
		}
		same(t, "table", want, b.String())
	}
	if tab.fits(34) || !tab.fits(36) {
		t.Error("fits is wrong about a width of 36")
	}
}

// A name comes from whoever may start a container: it must not steer a
// terminal.
func TestTableIsPrintable(t *testing.T) {
	tab := table{head: []string{"NAME"}}
	tab.add("\x1b[2Jweb\a\u202e")
	tab.add("two\nlines\tand\x00more")
	tab.addLines([]string{"two\nlines", "another"})
	var b strings.Builder
	if err := tab.write(&b, noLimit); err != nil {
		t.Fatal(err)
	}
	same(t, "table", "NAME\n\ufffd[2Jweb\ufffd\ufffd\ntwo\ufffdlines\ufffdand\ufffdmore\ntwo\ufffdlines\nanother\n", b.String())
}
