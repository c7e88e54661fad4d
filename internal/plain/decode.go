package plain

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Unmarshal decodes JSON into the value behind a pointer, as [json.Unmarshal] does.
func Unmarshal(data []byte, into any) error {
	if Decode(data, into) {
		return nil
	}
	return json.Unmarshal(data, into)
}

// Decode decodes plain JSON, all of which is valid UTF-8, into the zero value behind a pointer. It
// returns false, and changes nothing, if anything is not plain: that is not an error of the JSON.
func Decode(data []byte, into any) bool {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || !v.Elem().IsZero() || !utf8.Valid(data) {
		return false
	}
	d := decoder{rest: data}
	d.skipSpace()
	if !d.readValue(v.Elem(), 0) {
		v.Elem().SetZero()
		return false
	}
	d.skipSpace()
	if len(d.rest) > 0 {
		v.Elem().SetZero()
		return false
	}
	return true
}

// decoder decodes the rest of a document. Its methods return false for everything that is not plain.
type decoder struct{ rest []byte }

func (d *decoder) skipSpace() {
	for len(d.rest) > 0 && (d.rest[0] == ' ' || d.rest[0] == '\n' || d.rest[0] == '\t' || d.rest[0] == '\r') {
		d.rest = d.rest[1:]
	}
}

// skipByte skips a byte and the space around it, and reports whether it was there.
func (d *decoder) skipByte(c byte) bool {
	d.skipSpace()
	if len(d.rest) == 0 || d.rest[0] != c {
		return false
	}
	d.rest = d.rest[1:]
	d.skipSpace()
	return true
}

// skipWord skips a literal, such as null.
func (d *decoder) skipWord(word string) bool {
	if len(d.rest) < len(word) || string(d.rest[:len(word)]) != word {
		return false
	}
	d.rest = d.rest[len(word):]
	return true
}

// readInteger reads a number without fraction and exponent.
func (d *decoder) readInteger() (string, bool) {
	n := 0
	if len(d.rest) > 0 && d.rest[0] == '-' {
		n++
	}
	first := n
	for n < len(d.rest) && d.rest[n] >= '0' && d.rest[n] <= '9' {
		n++
	}
	if n == first || d.rest[first] == '0' && n > first+1 ||
		n < len(d.rest) && (d.rest[n] == '.' || d.rest[n] == 'e' || d.rest[n] == 'E') {
		return "", false
	}
	text := string(d.rest[:n])
	d.rest = d.rest[n:]
	return text, true
}

func (d *decoder) readValue(v reflect.Value, depth int) bool {
	t := v.Type()
	if depth > deepest || t == numberType {
		return false
	}
	if d.skipWord("null") {
		return t == timeType || !reflect.PointerTo(t).Implements(jsonUnmarshaler)
	}
	if v.Kind() == reflect.Pointer {
		if t.Implements(jsonUnmarshaler) && t.Elem() != timeType {
			return false
		}
		v.Set(reflect.New(t.Elem()))
		return d.readValue(v.Elem(), depth+1)
	}
	if t == timeType {
		return d.readTime(v)
	}
	if to := reflect.PointerTo(t); to.Implements(jsonUnmarshaler) {
		return false
	} else if to.Implements(textUnmarshaler) {
		text, ok := d.readString()
		return ok && v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text) == nil
	}
	return d.readKind(v, depth)
}

func (d *decoder) readTime(v reflect.Value) bool {
	quoted := d.rest
	_, ok := d.readString()
	return ok && v.Addr().Interface().(*time.Time).UnmarshalJSON(quoted[:len(quoted)-len(d.rest)]) == nil
}

func (d *decoder) readKind(v reflect.Value, depth int) bool {
	switch v.Kind() {
	case reflect.String:
		text, ok := d.readString()
		v.SetString(string(text))
		return ok
	case reflect.Bool:
		v.SetBool(len(d.rest) > 0 && d.rest[0] == 't')
		return d.skipWord("true") || d.skipWord("false")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		text, ok := d.readInteger()
		n, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil || v.OverflowInt(n) {
			return false
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		text, ok := d.readInteger()
		n, err := strconv.ParseUint(text, 10, 64)
		if !ok || err != nil || v.OverflowUint(n) {
			return false
		}
		v.SetUint(n)
	case reflect.Struct:
		return d.readStruct(v, depth)
	case reflect.Slice:
		return d.readSlice(v, depth)
	case reflect.Map:
		return d.readMap(v, depth)
	default:
		return false
	}
	return true
}

// readMembers calls read for the name of each member of an object, which reads its value.
func (d *decoder) readMembers(read func(name []byte) bool) bool {
	if !d.skipByte('{') {
		return false
	}
	if d.skipByte('}') {
		return true
	}
	for {
		name, ok := d.readString()
		if !ok || !d.skipByte(':') || !read(name) {
			return false
		}
		if !d.skipByte(',') {
			return d.closes('}')
		}
	}
}

// closes skips the end of an object or a list. The space behind it is left.
func (d *decoder) closes(c byte) bool {
	d.skipSpace()
	return d.skipWord(string(rune(c)))
}

func (d *decoder) readStruct(v reflect.Value, depth int) bool {
	var memory [mostKeys]field
	fields, ok := fieldsOf(v.Type(), &memory)
	if !ok {
		return false
	}
	var seen uint64
	next := 0
	return d.readMembers(func(name []byte) bool {
		i, ok := findField(fields, next, name)
		if !ok {
			return false
		} else if i < 0 {
			return d.skipValue(depth + 1)
		}
		if seen&(1<<i) != 0 {
			return false // encoding/json merges the two
		}
		seen |= 1 << i
		next = i + 1
		return d.readValue(v.Field(fields[i].index), depth+1)
	})
}

// findField returns the number of the field with a name, or -1 if there is none. It returns false if
// encoding/json might find a field in another case: if the name equals one in another case, or has
// a character beyond ASCII (U+017F folds to s). The search begins at next, because JSON that was
// written from this type has its fields in order.
func findField(fields []field, next int, name []byte) (int, bool) {
	for n := range fields {
		i := (next + n) % len(fields)
		if string(name) == fields[i].name {
			return i, true
		}
	}
	for _, c := range name {
		if c >= utf8.RuneSelf {
			return 0, false
		}
	}
	for _, f := range fields {
		if strings.EqualFold(string(name), f.name) {
			return 0, false
		}
	}
	return -1, true
}

// skipValue skips the value of a member that the type does not have.
func (d *decoder) skipValue(depth int) bool {
	if depth > deepest || len(d.rest) == 0 {
		return false
	}
	switch c := d.rest[0]; c {
	case '"':
		_, ok := d.readString()
		return ok
	case '{':
		return d.readMembers(func([]byte) bool { return d.skipValue(depth + 1) })
	case '[':
		return d.readElements(func() bool { return d.skipValue(depth + 1) })
	case 't', 'f', 'n':
		return d.skipWord("true") || d.skipWord("false") || d.skipWord("null")
	}
	_, ok := d.readInteger()
	return ok
}

// readElements calls read for each element of a list, which reads it.
func (d *decoder) readElements(read func() bool) bool {
	if !d.skipByte('[') {
		return false
	}
	if d.closes(']') {
		return true
	}
	for {
		if !read() {
			return false
		}
		if !d.skipByte(',') {
			return d.closes(']')
		}
	}
}

func (d *decoder) readSlice(v reflect.Value, depth int) bool {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return false // base64
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	return d.readElements(func() bool {
		n := v.Len()
		v.Grow(1)
		v.SetLen(n + 1)
		v.Index(n).SetZero()
		return d.readValue(v.Index(n), depth+1)
	})
}

func (d *decoder) readMap(v reflect.Value, depth int) bool {
	t := v.Type()
	if t.Key().Kind() != reflect.String || reflect.PointerTo(t.Key()).Implements(textUnmarshaler) {
		return false
	}
	v.Set(reflect.MakeMap(t))
	element := reflect.New(t.Elem()).Elem()
	return d.readMembers(func(name []byte) bool {
		element.SetZero()
		if !d.readValue(element, depth+1) {
			return false
		}
		v.SetMapIndex(reflect.ValueOf(string(name)).Convert(t.Key()), element)
		return true
	})
}
