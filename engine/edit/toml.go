package edit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlLanguage is TOML 1.0.
type tomlLanguage struct{}

func (tomlLanguage) decodeText(text string) (map[string]any, error) {
	values := make(map[string]any)
	err := toml.Unmarshal([]byte(text), &values)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		row, column := at.Position()
		return nil, fmt.Errorf("line %d, column %d: %w", row, column, err)
	}
	return values, err
}

// entry is a table's header or a key with its value. Offsets are in bytes.
type entry struct {
	path      []string // from the root
	key       []string // the key's parts as written
	table     int      // index of the header above it, or -1 if none; of a header, its own
	header    bool
	array     bool     // whether it is a header of a table array
	within    []string // path of its inline table; nil if it has its own line
	line, end int      // its lines, including the last one's end of line
	start     int      // of the key
	value     int      // offset of the value
	valueEnd  int
	valueKind unstable.Kind
}

// parseTOML returns a file's headers and keys, in their order.
func parseTOML(text string) ([]entry, error) {
	var p unstable.Parser
	p.Reset([]byte(text))
	var all []entry
	table := -1
	for p.NextExpression() {
		e := p.Expression()
		one := entry{header: e.Kind != unstable.KeyValue, array: e.Kind == unstable.ArrayTable}
		last := 0
		for it := e.Key(); it.Next(); {
			k := it.Node()
			if len(one.key) == 0 {
				one.start = int(k.Raw.Offset)
			}
			one.path, one.key = append(one.path, string(k.Data)), append(one.key, string(p.Raw(k.Raw)))
			last = int(k.Raw.Offset + k.Raw.Length)
		}
		if one.header {
			table = len(all)
			one.table, one.valueEnd = table, last
			one.setLines(text)
			all = append(all, one)
			continue
		}
		one.table = table
		if table >= 0 {
			one.path = slices.Concat(all[table].path, one.path)
		}
		one.setValueOffset(text, e, last)
		one.setLines(text)
		all = append(all, one)
		all = appendMembers(all, &p, text, e.Value(), one)
	}
	return all, p.Error()
}

// setValueOffset sets the offset of a key's value.
func (e *entry) setValueOffset(text string, node *unstable.Node, keyEnd int) {
	e.value = keyEnd + strings.IndexByte(text[keyEnd:], '=') + 1
	e.value += len(text[e.value:]) - len(strings.TrimLeft(text[e.value:], " \t"))
	e.valueEnd = int(node.Raw.Offset + node.Raw.Length)
	e.valueKind = node.Value().Kind
}

// setLines sets the lines of an entry.
func (e *entry) setLines(text string) {
	e.line = strings.LastIndexByte(text[:e.start], '\n') + 1
	e.end = len(text)
	if i := strings.IndexByte(text[e.valueEnd:], '\n'); i >= 0 {
		e.end = e.valueEnd + i + 1
	}
}

// appendMembers appends the entries of an inline table.
func appendMembers(all []entry, p *unstable.Parser, text string, value *unstable.Node, of entry) []entry {
	if value.Kind != unstable.InlineTable {
		return all
	}
	for it := value.Children(); it.Next(); {
		n := it.Node()
		if n.Kind != unstable.KeyValue {
			continue
		}
		one := entry{path: slices.Clone(of.path), table: of.table, within: of.path, line: of.line, end: of.end,
			start: int(n.Raw.Offset)}
		last := 0
		for k := n.Key(); k.Next(); {
			one.path, one.key = append(one.path, string(k.Node().Data)), append(one.key, string(p.Raw(k.Node().Raw)))
			last = int(k.Node().Raw.Offset + k.Node().Raw.Length)
		}
		one.setValueOffset(text, n, last)
		all = append(all, one)
		all = appendMembers(all, p, text, n.Value(), one)
	}
	return all
}

// bareKey reports whether a key needs no quotes.
func bareKey(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
}

func writeKey(s string) string {
	if bareKey(s) {
		return s
	}
	return writeString(s)
}

// writeString writes a basic string (TOML 1.0, "String"). Escapes of Go that TOML lacks are
// written as \uXXXX.
func writeString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// writeTOML writes a value on one line.
func writeTOML(value any) string {
	switch v := value.(type) {
	case verbatim:
		return string(v)
	case string:
		return writeString(v)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		text := strings.ToLower(strconv.FormatFloat(v, 'f', -1, 64))
		if !strings.ContainsAny(text, ".in") { // neither a fraction nor inf or nan
			text += ".0"
		}
		return strings.TrimPrefix(text, "+")
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case []string:
		return writeTOML(plainValue(v))
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, writeTOML(one))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		var all []string
		values, tables := partKeys(v)
		for _, key := range append(values, tables...) {
			all = append(all, writeKey(key)+" = "+writeTOML(v[key]))
		}
		return "{ " + strings.Join(all, ", ") + " }"
	}
	return fmt.Sprint(value)
}
