package specs

import (
	"errors"
	"fmt"
	"strings"
)

// ErrPolicy is wrapped by every refusal that berth.toml or a network file
// causes. A value that is malformed by itself does not wrap it.
var ErrPolicy = errors.New("refused by policy")

// ValueError reports that a key (of an annotation, a file or the command line)
// has a value that berth cannot use. Either Want or Problem is set.
type ValueError struct {
	Key     string // as the user wrote it: "berth/mode", "subnet[0].gateway", "--subnet"
	Value   string // as the user wrote it, shortened if it is long
	Want    string // the expected value, if this one is malformed
	Problem string // else the reason and the remedy, as a sentence
	Err     error  // the class of the error, such as ErrPolicy; may be nil
}

// Error returns one line: key, quoted value, and the expected value or the problem.
func (e *ValueError) Error() string {
	text := e.Problem
	if e.Want != "" {
		text = "want " + e.Want
	}
	return strings.TrimLeft(fmt.Sprintf("%s %q: %s", e.Key, shortenValue(e.Value), text), ": ")
}

// Unwrap returns the class of the error.
func (e *ValueError) Unwrap() error { return e.Err }

// Invalid returns a ValueError for a malformed value.
func Invalid(key, value, want string, args ...any) error {
	return &ValueError{Key: key, Value: value, Want: fmt.Sprintf(want, args...)}
}

// Unusable returns a ValueError for a well-formed value that conflicts with another
// setting or with the state of the host.
func Unusable(key, value, problem string, args ...any) error {
	return &ValueError{Key: key, Value: value, Problem: fmt.Sprintf(problem, args...)}
}

// At puts prefix before the key of a ValueError, so that a parser does not need
// the place of its value. Other errors, also those that wrap a ValueError, get
// the prefix as text.
func At(prefix string, err error) error {
	if err == nil || prefix == "" {
		return err
	}
	v, ok := err.(*ValueError)
	if !ok {
		return fmt.Errorf("%s: %w", prefix, err)
	}
	moved := *v
	switch {
	case v.Key == "":
		moved.Key = prefix
	case strings.HasPrefix(v.Key, "["), strings.HasPrefix(v.Key, ":"):
		moved.Key = prefix + v.Key
	default:
		moved.Key = prefix + "." + v.Key
	}
	return &moved
}

// maxQuoted is the maximum length of a value in an error, in bytes.
const maxQuoted = 80

func shortenValue(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}

// renameKey replaces the key of a ValueError by the user's name for it.
func renameKey(err error, name func(string) string) error {
	var v *ValueError
	if !errors.As(err, &v) {
		return err
	}
	moved := *v
	moved.Key = name(v.Key)
	return &moved
}
