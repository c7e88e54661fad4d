package wrapper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// A value is the position of a JSON value in a text.
type value struct {
	from, to int // text[from:to] is the value, without surrounding blanks
}

func (v value) textIn(text []byte) []byte { return text[v.from:v.to] }

// A member is a key of an object and its value.
type member struct {
	key string
	value
}

// membersOf returns the members of an object, in order.
func membersOf(text []byte, object value) (all []member, err error) {
	dec, err := openDecoder(text, object, '{')
	if err != nil {
		return nil, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		v, err := nextValue(dec, object.from)
		if err != nil {
			return nil, err
		}
		all = append(all, member{key.(string), v}) // a key is a string, or Token has failed
	}
	_, err = dec.Token()
	return all, err
}

// elementsOf returns the elements of an array.
func elementsOf(text []byte, array value) (all []value, err error) {
	dec, err := openDecoder(text, array, '[')
	if err != nil {
		return nil, err
	}
	for dec.More() {
		v, err := nextValue(dec, array.from)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	_, err = dec.Token()
	return all, err
}

func openDecoder(text []byte, v value, delim json.Delim) (*json.Decoder, error) {
	dec := json.NewDecoder(bytes.NewReader(v.textIn(text)))
	begin, err := dec.Token()
	if err == nil && begin != delim {
		err = fmt.Errorf("want %q", delim.String())
	}
	return dec, err
}

// nextValue reads a value from a decoder whose text begins at an offset of the whole.
func nextValue(dec *json.Decoder, at int) (value, error) {
	var raw json.RawMessage
	err := dec.Decode(&raw)
	end := at + int(dec.InputOffset())
	return value{end - len(raw), end}, err
}

func isNull(text []byte, v value) bool { return string(v.textIn(text)) == "null" }

// An edit replaces a part of the text; if from equals to, it inserts.
type edit struct {
	value
	text string
}

// applyEdits applies edits that do not overlap.
func applyEdits(text []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, text[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, text[at:]...)
}

// addMembers returns the edit that adds members, with their keys, to an object.
func addMembers(object value, members []member, added string) edit {
	if len(members) == 0 {
		return edit{value{object.from + 1, object.from + 1}, added}
	}
	end := members[len(members)-1].to
	return edit{value{end, end}, "," + added}
}

// addElement returns the edit that appends an element to an array.
func addElement(array value, elements []value, val string) edit {
	if len(elements) == 0 {
		return edit{value{array.from + 1, array.from + 1}, val}
	}
	end := elements[len(elements)-1].to
	return edit{value{end, end}, "," + val}
}
