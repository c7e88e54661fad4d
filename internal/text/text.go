// Package text formats strings for a terminal, in one way for all of berth: it makes
// foreign names safe, and IDs and numbers short.
//
// [Printable] makes a name safe; [Bytes], [Number], [Rate] and [ShortID] shorten.
//
// It handles strings only, and imports no package of berth.
package text

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Printable makes foreign text safe for a terminal: names come from annotations,
// which any user may have written. Characters that are not printable become U+FFFD.
// Every terminal gives the result the same width, see [evenWidth].
func Printable(s string) string {
	isFirst := true
	return strings.Map(func(r rune) rune {
		switch {
		case !unicode.IsPrint(r), isFirst && unicode.In(r, unicode.Mn, unicode.Me):
			r = unicode.ReplacementChar // a mark without a letter
		default:
			r = evenWidth(r)
		}
		isFirst = isFirst && r < 0
		return r
	}, s)
}

// The code points that Unicode Technical Standard 51 combines to one emoji.
const (
	firstRegional, lastRegional = '\U0001F1E6', '\U0001F1FF' // regional indicators A to Z; two are a flag
	firstModifier, lastModifier = '\U0001F3FB', '\U0001F3FF' // skin tones
)

// evenWidth replaces a code point whose width depends on the one before it. Some
// terminals add up the widths of code points, others take that of a whole emoji,
// so a table's columns would move. A flag becomes the letters of its country;
// skin tones and variation selectors are dropped (-1). A letter that joins the one
// before it, and a sign that makes the next letter join, become U+FFFD.
func evenWidth(r rune) rune {
	switch {
	case unicode.In(r, unicode.Mc, joining):
		return unicode.ReplacementChar
	case r >= firstRegional && r <= lastRegional:
		return 'A' + r - firstRegional
	case r >= firstModifier && r <= lastModifier, unicode.Is(unicode.Variation_Selector, r):
		return -1
	}
	return r
}

// ShortID returns the first 12 digits, as docker does, of an ID of 64 hexadecimal
// digits. It returns other IDs, which a person chose, unchanged.
func ShortID(id string) string {
	if len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
		return id[:12]
	}
	return id
}

// Scale formats a number with at most three digits, and a prefix of the SI.
func Scale(n uint64) (digits, prefix string) {
	if n < 1000 {
		return strconv.FormatUint(n, 10), ""
	}
	const prefixes = "kMGTPE"
	v, i := float64(n)/1000, 0
	for v >= 999.5 {
		v, i = v/1000, i+1
	}
	decimals := 0
	switch {
	case v < 9.995:
		decimals = 2
	case v < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64), prefixes[i : i+1]
}

// Bytes formats a number of bytes, as "1.23 MB"; 1 kB is 1000 bytes.
func Bytes(n uint64) string {
	digits, prefix := Scale(n)
	return digits + " " + prefix + "B"
}

// Rate formats a number of bytes a second, or of bits if bits is set, as "9.84 Mb".
func Rate(bytes float64, bits bool) string {
	if !bits {
		return Bytes(uint64(math.Round(max(0, bytes))))
	}
	digits, prefix := Scale(uint64(math.Round(max(0, 8*bytes))))
	return digits + " " + prefix + "b"
}

// Number formats any number, as "1.23k".
func Number(n uint64) string {
	digits, prefix := Scale(n)
	return digits + prefix
}
