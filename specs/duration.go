package specs

import "time"

// Duration is a time.Duration in text form: "100ms", "2s", "0".
type Duration time.Duration

// String returns the duration in Go's notation, and "0" for zero.
func (d Duration) String() string {
	if d == 0 {
		return "0"
	}
	return time.Duration(d).String()
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return Invalid("", string(text), "a duration that is not negative, as 100ms, 2s or 0")
	}
	*d = Duration(v)
	return nil
}
