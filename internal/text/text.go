// Package text writes strings for people at a terminal, in one way for all of
// berth: names of others made safe, ids and numbers made short.
//
// It is of strings only, and imports nothing of berth.
package text

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Printable makes text of others safe for a terminal: names come from
// annotations, which anybody may have written. What is not printable becomes
// U+FFFD.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// ShortID is docker's 12 digits of an id that is 64 hexadecimal ones. Other
// ids are what a person chose, and stay.
func ShortID(id string) string {
	if len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
		return id[:12]
	}
	return id
}

// Scale writes a number with at most three digits, and a prefix of the SI.
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

// Bytes writes a number of bytes, as "1.23 MB"; 1 kB is 1000 bytes.
func Bytes(n uint64) string {
	digits, prefix := Scale(n)
	return digits + " " + prefix + "B"
}

// Rate writes a number of bytes a second, or the bits of them, as "9.84 Mb".
func Rate(bytes float64, bits bool) string {
	if !bits {
		return Bytes(uint64(math.Round(max(0, bytes))))
	}
	digits, prefix := Scale(uint64(math.Round(max(0, 8*bytes))))
	return digits + " " + prefix + "b"
}

// Number writes a number of anything, as "1.23k".
func Number(n uint64) string {
	digits, prefix := Scale(n)
	return digits + prefix
}
