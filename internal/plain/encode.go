package plain

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Marshal returns the JSON of a value, as [json.Marshal] does.
func Marshal(v any) ([]byte, error) {
	if data, ok := Encode(v); ok {
		return data, nil
	}
	return json.Marshal(v)
}

// Encode returns the JSON of a value, or ok = false if the value is not plain.
func Encode(v any) (data []byte, ok bool) {
	e := encoder{out: make([]byte, 0, 1024)}
	of := reflect.ValueOf(v)
	ok = of.IsValid() && e.addValue(of, 0)
	return e.out, ok
}

// encoder adds to a document. Its methods return false for everything that is not plain.
type encoder struct{ out []byte }

func (e *encoder) addValue(v reflect.Value, depth int) bool {
	t := v.Type()
	if depth > deepest || t == numberType {
		return false
	}
	if t == timeType {
		return e.addTime(v.Interface().(time.Time))
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			e.out = append(e.out, "null"...)
			return true
		}
		return e.addValue(v.Elem(), depth+1)
	}
	if to := reflect.PointerTo(t); to.Implements(jsonMarshaler) {
		return false
	} else if to.Implements(textMarshaler) {
		return t.Implements(textMarshaler) && e.addText(v)
	}
	return e.addKind(v, depth)
}

func (e *encoder) addKind(v reflect.Value, depth int) bool {
	switch v.Kind() {
	case reflect.String:
		return e.addString(v.String())
	case reflect.Bool:
		e.out = strconv.AppendBool(e.out, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.out = strconv.AppendInt(e.out, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.out = strconv.AppendUint(e.out, v.Uint(), 10)
	case reflect.Struct:
		return e.addStruct(v, depth)
	case reflect.Slice:
		return e.addSlice(v, depth)
	case reflect.Map:
		return e.addMap(v, depth)
	default:
		return false
	}
	return true
}

func (e *encoder) addString(s string) (ok bool) {
	e.out, ok = appendString(e.out, s)
	return ok
}

func (e *encoder) addText(v reflect.Value) bool {
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	return err == nil && e.addString(string(text))
}

func (e *encoder) addTime(t time.Time) bool {
	text, err := t.MarshalJSON()
	e.out = append(e.out, text...)
	return err == nil
}

func (e *encoder) addStruct(v reflect.Value, depth int) bool {
	var memory [mostKeys]field
	fields, ok := fieldsOf(v.Type(), &memory)
	if !ok {
		return false
	}
	e.out = append(e.out, '{')
	first := true
	for _, f := range fields {
		member := v.Field(f.index)
		omit, ok := f.isOmitted(member)
		if !ok {
			return false
		} else if omit {
			continue
		}
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		if !e.addString(f.name) {
			return false
		}
		e.out = append(e.out, ':')
		if !e.addValue(member, depth+1) {
			return false
		}
	}
	e.out = append(e.out, '}')
	return true
}

// isOmitted reports whether a member is left out of the JSON.
func (f field) isOmitted(v reflect.Value) (omit, ok bool) {
	if f.omitZero {
		switch t := v.Type(); {
		case t.Implements(reportsZero) && v.Kind() != reflect.Pointer:
			omit = v.Interface().(zeroReporter).IsZero()
		case t.Implements(reportsZero), reflect.PointerTo(t).Implements(reportsZero):
			return false, false
		default:
			omit = v.IsZero()
		}
	}
	return omit || f.omitEmpty && isEmpty(v), true
}

// isEmpty reports whether omitempty leaves a value out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func (e *encoder) addSlice(v reflect.Value, depth int) bool {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return false // base64
	}
	if v.IsNil() {
		e.out = append(e.out, "null"...)
		return true
	}
	e.out = append(e.out, '[')
	for i := range v.Len() {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		if !e.addValue(v.Index(i), depth+1) {
			return false
		}
	}
	e.out = append(e.out, ']')
	return true
}

func (e *encoder) addMap(v reflect.Value, depth int) bool {
	t := v.Type()
	if t.Key().Kind() != reflect.String || t.Key().Implements(textMarshaler) {
		return false
	}
	if v.IsNil() {
		e.out = append(e.out, "null"...)
		return true
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		}
		return 0
	})
	e.out = append(e.out, '{')
	for i, key := range keys {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		if !e.addString(key.String()) {
			return false
		}
		e.out = append(e.out, ':')
		if !e.addValue(v.MapIndex(key), depth+1) {
			return false
		}
	}
	e.out = append(e.out, '}')
	return true
}
