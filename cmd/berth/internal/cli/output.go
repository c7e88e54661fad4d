package cli

import (
	"encoding/json"
	"io"

	"berth/internal/text"
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
func printable(s string) string { return text.Printable(s) }

// dash stands for a value that there is not.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
