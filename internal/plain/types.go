package plain

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// zeroReporter has the method by which omitzero leaves a value out.
type zeroReporter interface{ IsZero() bool }

var (
	timeType        = reflect.TypeFor[time.Time]()
	numberType      = reflect.TypeFor[json.Number]() // text that is a number in JSON
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	reportsZero     = reflect.TypeFor[zeroReporter]()
)

// Bounds of plain JSON: the depth of its values, and the members of a structure.
const (
	deepest  = 32
	mostKeys = 64
)

// field is a member of a structure.
type field struct {
	index               int
	name                string
	omitEmpty, omitZero bool
}

// fieldOf returns a member by its index; skip is true if it is not part of the JSON, ok false if
// its form is not plain.
func fieldOf(t reflect.Type, i int) (f field, skip, ok bool) {
	of := t.Field(i)
	if of.Anonymous {
		return f, false, false
	}
	tag := of.Tag.Get("json")
	if !of.IsExported() || tag == "-" {
		return f, true, true
	}
	name, options, _ := strings.Cut(tag, ",")
	f = field{index: i, name: name}
	if name == "" {
		f.name = of.Name
	}
	for options != "" {
		var option string
		option, options, _ = strings.Cut(options, ",")
		switch option {
		case "omitempty":
			f.omitEmpty = true
		case "omitzero":
			f.omitZero = true
		default:
			return f, false, false
		}
	}
	return f, false, isPlainName(f.name)
}

// isPlainName reports whether encoding/json accepts a name, and writes it as it is.
func isPlainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return name != ""
}

// hasUniqueNames reports whether no two members have one name: encoding/json omits both.
func hasUniqueNames(fields []field) bool {
	for i, f := range fields {
		for _, g := range fields[:i] {
			if len(f.name) == len(g.name) && strings.EqualFold(f.name, g.name) { // plain names are ASCII
				return false
			}
		}
	}
	return true
}

// fieldsOf returns the members of a structure, in memory of the caller, or ok = false if it is not
// plain.
func fieldsOf(t reflect.Type, memory *[mostKeys]field) (all []field, ok bool) {
	n := t.NumField()
	if n > mostKeys {
		return nil, false
	}
	all = memory[:0]
	for i := range n {
		f, skip, ok := fieldOf(t, i)
		if !ok {
			return nil, false
		}
		if !skip {
			all = append(all, f)
		}
	}
	return all, hasUniqueNames(all)
}
