package specs

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// field is one key of a JSON object, as written. encoding/json ignores the case
// of keys and takes the last of two equal ones. With either rule, two readers of
// an annotation could see different networks.
type field struct {
	key   string
	value json.RawMessage
}

// fieldsOf reads an object key by key and refuses a repeated key.
func fieldsOf(object json.RawMessage) ([]field, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, Invalid("", string(object), "an object, as {\"name\": \"lan\"}")
	}
	var fields []field
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, Invalid("", string(object), "JSON (%v)", err)
		}
		f := field{key: key.(string)} // a key of an object always is
		if err := dec.Decode(&f.value); err != nil {
			return nil, Invalid(f.key, string(object), "JSON (%v)", err)
		}
		if slices.ContainsFunc(fields, func(g field) bool { return g.key == f.key }) {
			return nil, Unusable(": key", f.key, "the object has this key twice")
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// unknownKey returns the error for an unknown key.
func unknownKey(key string, keys []string) error {
	return Invalid(": key", key, "one of %s", strings.Join(keys, ", "))
}

// setFields sets the field of each key; an unknown key is an error.
func setFields(fields []field, keys map[string]func(json.RawMessage) error) error {
	for _, f := range fields {
		set, ok := keys[f.key]
		if !ok {
			return unknownKey(f.key, slices.Sorted(maps.Keys(keys)))
		}
		if err := set(f.value); err != nil {
			return At(f.key, err)
		}
	}
	return nil
}

// tablesJSON calls each for every object of a list.
func tablesJSON(value json.RawMessage, each func(at string, fields []field) error) error {
	var list []json.RawMessage
	if err := valueJSON(value, &list); err != nil {
		return err
	}
	if len(list) > maxListItems {
		return Invalid("", fmt.Sprint(len(list)), "at most %d", maxListItems)
	}
	for i, item := range list {
		at := fmt.Sprintf("[%d]", i)
		fields, err := fieldsOf(item)
		if err != nil {
			return At(at, err)
		}
		if err := each(at, fields); err != nil {
			return err
		}
	}
	return nil
}

// valueJSON decodes a string, number, bool or list.
func valueJSON[T any](value json.RawMessage, into *T) error {
	if string(value) == "null" || json.Unmarshal(value, into) != nil {
		return Invalid("", string(value), "%s", kindOf(into))
	}
	return nil
}

// kindOf returns the user's word for the JSON form of a Go type.
func kindOf(into any) string {
	switch into.(type) {
	case *string:
		return "a text, in quotes"
	case *int:
		return "a whole number"
	case *bool:
		return "true or false"
	}
	return "a list, in brackets"
}

// textJSON decodes a string into a type with a text form.
func textJSON(value json.RawMessage, into encoding.TextUnmarshaler) error {
	var text string
	if valueJSON(value, &text) != nil {
		return Invalid("", string(value), "%s", textFor(reflect.TypeOf(into).Elem()))
	}
	if text == "" {
		return Invalid("", text, "a value; leave the key out for none")
	}
	return textError(text, into.UnmarshalText([]byte(text)))
}

// textError replaces an error of the library's parser by one in the user's words.
func textError(text string, err error) error {
	var v *ValueError
	if err == nil || errors.As(err, &v) {
		return err
	}
	return Invalid("", text, "an address or prefix, as 192.0.2.7 or 192.0.2.0/24 (%v)", err)
}

// listText decodes a list of strings into types with a text form.
func listText[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](value json.RawMessage, into *[]T) error {
	var list []json.RawMessage
	if err := valueJSON(value, &list); err != nil {
		return err
	}
	for _, item := range list {
		var v T
		if err := textJSON(item, P(&v)); err != nil {
			return err
		}
		*into = append(*into, v)
	}
	return nil
}

// oneJSON decodes one JSON value and nothing behind it.
func oneJSON(data []byte, into any) error {
	if !utf8.Valid(data) { // encoding/json would replace each invalid byte by U+FFFD, so two texts could become one
		return Invalid("", string(data), "JSON in UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte(utf8BOM))))
	if err := dec.Decode(into); err != nil {
		return Invalid("", string(data), "JSON (%v)", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Invalid("", string(data), "one JSON value and nothing behind it")
	}
	return nil
}

func keysOf(all ...map[string]jsonKey) (keys []string) {
	for _, m := range all {
		keys = append(keys, slices.Sorted(maps.Keys(m))...)
	}
	return keys
}
