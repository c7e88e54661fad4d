package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// jsonLanguage is JSON (RFC 8259) with one object in the file. If a name occurs twice, the
// last member counts, as in encoding/json.
type jsonLanguage struct{}

func (jsonLanguage) decodeText(text string) (map[string]any, error) {
	values := make(map[string]any)
	if strings.TrimSpace(text) == "" {
		return values, nil
	}
	err := json.Unmarshal([]byte(text), &values)
	var at *json.SyntaxError
	if errors.As(err, &at) {
		return nil, fmt.Errorf("line %d: %w", strings.Count(text[:at.Offset], "\n")+1, err)
	}
	var kind *json.UnmarshalTypeError
	isNumber := errors.As(err, &kind) && strings.HasPrefix(kind.Value, "number ")
	if isNumber && strings.HasPrefix(strings.TrimSpace(text), "{") { // too large for any reader
		return nil, fmt.Errorf("line %d: %w", strings.Count(text[:kind.Offset], "\n")+1, err)
	}
	if errors.As(err, &kind) || err == nil && values == nil {
		return nil, errors.New("the file has another value than an object")
	}
	return values, err
}

// object is a JSON object in a text, by byte offsets.
type object struct {
	start, end int // its braces; end is the offset after the last
	members    []member
}

type member struct {
	name            string
	start           int // of the name
	value, valueEnd int
	below           *object // set if the value is an object
}

// parseJSON returns the members of a text that is known to be an object.
func parseJSON(text string) (*object, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	return parseObject(d, text)
}

// parseObject reads members up to the closing brace, after the opening one was read.
func parseObject(d *json.Decoder, text string) (*object, error) {
	o := &object{start: int(d.InputOffset()) - 1}
	for d.More() {
		before := int(d.InputOffset())
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string), start: before + strings.IndexByte(text[before:], '"')}
		colon := int(d.InputOffset()) + strings.IndexByte(text[d.InputOffset():], ':') + 1
		m.value = colon + len(text[colon:]) - len(strings.TrimLeft(text[colon:], " \t\r\n"))
		if text[m.value] == '{' {
			if _, err = d.Token(); err == nil {
				m.below, err = parseObject(d, text)
			}
		} else {
			err = d.Decode(new(json.RawMessage))
		}
		if err != nil {
			return nil, err
		}
		m.valueEnd = int(d.InputOffset())
		o.members = append(o.members, m)
	}
	_, err := d.Token()
	o.end = int(d.InputOffset())
	return o, err
}

// findMember returns the member of a path, and the number of the path's keys that lead to the
// innermost existing object.
func (o *object) findMember(path []string) (in *object, m *member, depth int) {
	for depth = range path {
		i := -1
		for j := range o.members {
			if o.members[j].name == path[depth] {
				i = j
			}
		}
		if i < 0 {
			return o, nil, depth
		}
		m = &o.members[i]
		if depth == len(path)-1 || m.below == nil {
			return o, m, depth
		}
		o = m.below
	}
	return o, m, depth
}

func (jsonLanguage) rawValue(text string, path []string) (string, bool) {
	o, err := parseJSON(text)
	if err != nil {
		return "", false
	}
	_, m, depth := o.findMember(path)
	if m == nil || depth != len(path)-1 {
		return "", false
	}
	return text[m.value:m.valueEnd], true
}

func (jsonLanguage) replaceValue(text string, path []string, value any) (string, Change, error) {
	o, err := parseJSON(text)
	if err != nil {
		return "", Change{}, err
	}
	_, m, depth := o.findMember(path)
	if m == nil || depth != len(path)-1 {
		return "", Change{}, pathError(path, ErrLayout)
	}
	set, err := writeValue(text, value, lineIndent(text, m.start))
	old := text[m.value:m.valueEnd]
	return text[:m.value] + set + text[m.valueEnd:], Change{Path: path, Value: set, Old: &old}, err
}

// insertValue adds a member after the last of its object, on a line of its own if the others
// have their own.
func (jsonLanguage) insertValue(text string, path []string, value any) (string, Change, error) {
	change := Change{Path: path}
	if strings.TrimSpace(text) == "" {
		set, err := writeValue(text, nestBelow(append([]string{""}, path...), value), "")
		change.Added = set + "\n"
		return change.Added + text, change, err
	}
	o, err := parseJSON(text)
	if err != nil {
		return "", change, err
	}
	in, there, depth := o.findMember(path)
	if there != nil { // a value where an object is needed
		return "", change, pathError(path, ErrLayout)
	}
	keys := path[depth:]
	name, _ := json.Marshal(keys[0]) // a string
	at, before, indent, after := in.memberPlace(text)
	set, err := writeValue(text, nestBelow(keys, value), indent)
	if err != nil {
		return "", change, err
	}
	change.Added = before + string(name) + ": " + set + after
	if len(keys) == 1 {
		change.Value = set
	}
	if _, isTable := value.(map[string]any); isTable {
		change.Value = ""
	}
	return text[:at] + change.Added + text[at:], change, nil
}

// memberPlace returns the offset of a new member, the text before and after it, and the
// indentation of its line.
func (o *object) memberPlace(text string) (at int, before, indent, after string) {
	newline := newlineOf(text)
	if len(o.members) == 0 {
		outer := lineIndent(text, o.start)
		if strings.Contains(text[o.start:o.end], "\n") {
			return o.start + 1, newline + outer + indentUnit(text), outer + indentUnit(text), ""
		}
		return o.start + 1, newline + outer + indentUnit(text), outer + indentUnit(text), newline + outer
	}
	last := o.members[len(o.members)-1]
	indent = lineIndent(text, last.start)
	if strings.TrimSpace(text[strings.LastIndexByte(text[:last.start], '\n')+1:last.start]) == "" &&
		strings.Contains(text[:last.start], "\n") {
		return last.valueEnd, "," + newline + indent, indent, ""
	}
	return last.valueEnd, ", ", indent, ""
}

// cutValue removes a member with the comma before it, or else after it.
func (jsonLanguage) cutValue(text string, path []string) (string, error) {
	o, err := parseJSON(text)
	if err != nil {
		return "", err
	}
	in, m, depth := o.findMember(path)
	if m == nil || depth != len(path)-1 {
		return text, nil
	}
	i := slices.IndexFunc(in.members, func(one member) bool { return one.start == m.start })
	switch {
	case i > 0:
		return text[:in.members[i-1].valueEnd] + text[m.valueEnd:], nil
	case len(in.members) > 1:
		return text[:m.start] + text[in.members[1].start:], nil
	}
	return text[:in.start+1] + text[in.end-1:], nil
}

// lineIndent returns the indentation of the line at an offset.
func lineIndent(text string, at int) string {
	line := text[strings.LastIndexByte(text[:at], '\n')+1:]
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// indentUnit returns the indentation of one level: that of the first indented line of the file,
// else four blanks, as in docker's documentation.
func indentUnit(text string) string {
	for line := range strings.Lines(text) {
		if indent := lineIndent(line, 0); indent != "" && strings.TrimSpace(line) != "" {
			return indent
		}
	}
	return "    "
}

// newlineOf returns a file's end of line.
func newlineOf(text string) string {
	if strings.Contains(text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// writeValue writes a value in the form of a file, on a line with an indentation.
func writeValue(text string, value any, indent string) (string, error) {
	set, err := writeJSON(value, indent, indentUnit(text))
	if _, asWritten := value.(verbatim); asWritten {
		return set, err
	}
	return strings.ReplaceAll(set, "\n", newlineOf(text)), err
}

func writeJSON(value any, indent, unit string) (string, error) {
	if raw, ok := value.(verbatim); ok {
		return string(raw), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(indent, unit)
	err := e.Encode(value)
	return strings.TrimSuffix(b.String(), "\n"), err
}
