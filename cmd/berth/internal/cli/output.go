package cli

import (
	"encoding/json"
	"io"
	"strings"
	"unicode"
)

// writeJSON writes an array, indented for people; no elements are [].
func writeJSON[T any](w io.Writer, all []T) error {
	if all == nil {
		all = []T{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(all)
}

// printable makes text of others safe for a terminal: names come from
// annotations, which anybody may have written.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// dash stands for a value that there is not.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
