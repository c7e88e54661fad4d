package cli

import (
	"encoding/json"
	"io"

	"berth/internal/text"
)

// writeJSON writes an array, indented for people; it is [] if empty.
func writeJSON[T any](w io.Writer, all []T) error {
	if all == nil {
		all = []T{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(all)
}

// printable makes foreign text safe for a terminal: names come from annotations, which any
// user may have written.
func printable(s string) string { return text.Printable(s) }

// dashIfEmpty replaces an empty value.
func dashIfEmpty(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
