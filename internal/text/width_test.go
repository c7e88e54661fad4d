package text_test

import (
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"berth/internal/text"
)

// sumWidths returns the columns of a text in a terminal that gives each code point its own, as xterm,
// tmux and the kernel's console do; marks have none.
func sumWidths(s string) (columns int) {
	for _, r := range s {
		if !unicode.In(r, unicode.Mn, unicode.Me) {
			columns += max(1, ansi.StringWidthWc(string(r)))
		}
	}
	return columns
}

// TestEveryTerminalGivesTheSameWidth holds for each code point between others that it may join: a
// terminal that adds up code points and one that takes whole clusters agree.
func TestEveryTerminalGivesTheSameWidth(t *testing.T) {
	failed := 0
	for r := ' '; r <= unicode.MaxRune && failed < 20; r++ {
		if !unicode.IsPrint(r) || unicode.Is(unicode.Han, r) && r%97 != 0 {
			continue // all of them are alike
		}
		for _, beside := range [][2]string{{"", "y"}, {"x", "y"}, {"1", "\u20e3"}, {"\u1000", "\u0915"}, {"\uac00", "\u11a8"},
			{"\u1100", "\u1161"}, {"\U0001F44D", "\U0001F44D"}, {" ", " "}} {
			s := text.Printable(beside[0] + string(r) + beside[1])
			clusters, runes, sum := ansi.StringWidth(s), ansi.StringWidthWc(s), sumWidths(s)
			if clusters != sum || runes != sum {
				t.Errorf("%U between %q: %q has a width of %d, %d or %d columns", r, beside, s, clusters, runes, sum)
				failed++
			}
		}
	}
}
