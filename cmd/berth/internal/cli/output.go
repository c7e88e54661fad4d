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

// output passes a command's output on, and keeps the first error, so that no command succeeds
// whose output is incomplete. It is not for concurrent use.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
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
