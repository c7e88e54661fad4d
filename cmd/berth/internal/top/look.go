package top

import (
	"math"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"berth/internal/text"
)

// theme holds the abilities of a terminal.
type theme struct {
	colour bool // colours, beside bold, dim and reverse
	bare   bool // no escape sequences

	levels            string // of sparklines, from none to the maximum
	ellipsis, pointer string // marks of cut text and of the selected line
	down, up          string // marks of the sorted column
}

// newTheme returns the glyphs of a terminal; without unicode they are ASCII's.
func newTheme(colour, bare, unicode bool) theme {
	l := theme{colour: colour, bare: bare, levels: "▁▂▃▄▅▆▇█", ellipsis: "…", pointer: "▸", down: "▼", up: "▲"}
	if !unicode {
		l.levels, l.ellipsis, l.pointer, l.down, l.up = "_.:-=+*#", "~", ">", "v", "^"
	}
	return l
}

// style is a set of SGR parameters (ECMA-48 section 8.3.117).
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	marked style = "7"
	good   style = "32"
	bad    style = "31"
	warned style = "33"
	titled style = "36"
)

// paintText applies a style to a text. Without colours, coloured styles become bold or nothing.
func (l *theme) paintText(s string, st style) string {
	if !l.colour {
		switch st {
		case bad, warned, titled:
			st = bold
		case good:
			st = plain
		}
	}
	if l.bare || st == plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[m"
}

// fitText makes text safe and exactly width columns wide.
func (l *theme) fitText(s string, width int) string {
	s = l.cutText(s, width)
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidthWc(s)))
}

// alignRight is fit for numbers, which are right-aligned.
func (l *theme) alignRight(s string, width int) string {
	s = l.cutText(s, width)
	return strings.Repeat(" ", max(0, width-ansi.StringWidthWc(s))) + s
}

// cutText makes text safe and at most width columns wide.
func (l *theme) cutText(s string, width int) string {
	if width <= 0 {
		return ""
	}
	s = text.Printable(s)
	if ansi.StringWidthWc(s) <= width {
		return s
	}
	return ansi.TruncateWc(s, width, l.ellipsis)
}

// bytesText returns a rate in bytes, such as "1.23 MB".
func bytesText(v float64) string { return text.Bytes(roundCount(v)) }

// numberText returns a rate in packets, such as "1.23k".
func numberText(v float64) string { return text.Number(roundCount(v)) }

func roundCount(v float64) uint64 { return uint64(math.Round(max(0, v))) }
