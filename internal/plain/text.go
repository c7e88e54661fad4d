package plain

import "unicode/utf8"

const hex = "0123456789abcdef"

// shortEscapes are the escapes of one letter that encoding/json writes.
var shortEscapes = [utf8.RuneSelf]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}

// appendString adds a string of ASCII as encoding/json writes it.
func appendString(out []byte, s string) ([]byte, bool) {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			return out, false
		case shortEscapes[c] != 0:
			out = append(out, '\\', shortEscapes[c])
		case c < ' ', c == '<', c == '>', c == '&':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"'), true
}

// readString reads a string; of its escapes, those that encoding/json writes for ASCII.
func (d *decoder) readString() ([]byte, bool) {
	if len(d.rest) == 0 || d.rest[0] != '"' {
		return nil, false
	}
	for i, c := range d.rest[1:] {
		switch {
		case c == '"':
			text := d.rest[1 : 1+i]
			d.rest = d.rest[i+2:]
			return text, true
		case c == '\\':
			text := append([]byte(nil), d.rest[1:1+i]...)
			d.rest = d.rest[1+i:]
			return d.readEscaped(text)
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// readEscaped reads the rest of a string, from its first escape on, behind text.
func (d *decoder) readEscaped(text []byte) ([]byte, bool) {
	for len(d.rest) > 0 {
		c := d.rest[0]
		d.rest = d.rest[1:]
		switch {
		case c == '"':
			return text, true
		case c < ' ':
			return nil, false
		case c == '\\':
			var ok bool
			if c, ok = d.readEscape(); !ok {
				return nil, false
			}
		}
		text = append(text, c)
	}
	return nil, false
}

// readEscape reads an escape without its backslash.
func (d *decoder) readEscape() (byte, bool) {
	if len(d.rest) >= 5 && string(d.rest[:3]) == "u00" {
		high, low := hexDigit(d.rest[3]), hexDigit(d.rest[4])
		d.rest = d.rest[5:]
		return high<<4 | low, high < 8 && low < 16
	}
	if len(d.rest) == 0 {
		return 0, false
	}
	letter := d.rest[0]
	for c, escape := range shortEscapes {
		if escape == letter && letter != 0 {
			d.rest = d.rest[1:]
			return byte(c), true
		}
	}
	return 0, false
}

// hexDigit returns the value of a hexadecimal digit, or 16.
func hexDigit(c byte) byte {
	for i := range len(hex) {
		if hex[i] == c {
			return byte(i)
		}
	}
	return 16
}
