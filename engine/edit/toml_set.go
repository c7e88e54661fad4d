package edit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

func (tomlLanguage) raw(text string, path []string) (string, bool) {
	all, err := parseTOML(text)
	if err != nil {
		return "", false
	}
	for _, e := range all {
		if !e.header && slices.Equal(e.path, path) {
			return text[e.value:e.valueEnd], true
		}
	}
	return "", false
}

func (tomlLanguage) replace(text string, path []string, value any) (string, Change, error) {
	all, err := parseTOML(text)
	if err != nil {
		return "", Change{}, err
	}
	for _, e := range all {
		if !e.header && slices.Equal(e.path, path) {
			old, set := text[e.value:e.valueEnd], writeTOML(value)
			return text[:e.value] + set + text[e.valueEnd:], Change{Path: path, Value: set, Old: &old}, nil
		}
	}
	return "", Change{}, pathError(path, ErrLayout)
}

// insert chooses the natural place: beside the keys of the same table, or a new section
// after its last related one.
func (tomlLanguage) insert(text string, path []string, value any) (string, Change, error) {
	all, err := parseTOML(text)
	if err != nil {
		return "", Change{}, err
	}
	change := Change{Path: path}
	table, isTable := value.(map[string]any)
	if !isTable {
		change.Value = writeTOML(value)
	}
	t := tomlText{text, all}
	at, added := 0, ""
	parent := path[:len(path)-1]
	switch inline := t.inline(parent); {
	case inline >= 0:
		at, added = t.member(inline, path, value)
	case isTable:
		at, added = t.section(path, table)
	default:
		var found bool
		if at, added, found = t.beside(path, change.Value); !found {
			at, added = t.section(parent, map[string]any{path[len(path)-1]: value})
		}
	}
	change.Added = added
	return text[:at] + added + text[at:], change, nil
}

// below nests a value under all but the first of some keys.
func below(keys []string, value any) any {
	for i := len(keys) - 1; i > 0; i-- {
		value = map[string]any{keys[i]: value}
	}
	return value
}

// tomlText is a file with its entries.
type tomlText struct {
	text string
	all  []entry
}

// inline returns the innermost inline table on the way to a path, or -1 if there is none.
func (t tomlText) inline(path []string) int {
	found := -1
	for i, e := range t.all {
		if !e.header && e.valueKind == unstable.InlineTable && hasPrefix(path, e.path) {
			found = i
		}
	}
	return found
}

// member adds a key to an inline table, after the last.
func (t tomlText) member(table int, path []string, value any) (int, string) {
	e := t.all[table]
	keys := path[len(e.path):]
	added := writeKey(keys[0]) + " = " + writeTOML(below(keys, value))
	at := e.value + 1
	empty := true
	for _, m := range t.all {
		if m.within != nil && slices.Equal(m.within, e.path) && m.valueEnd > e.value && m.valueEnd <= e.valueEnd {
			at, empty = m.valueEnd, false
		}
	}
	if empty {
		return at, " " + added + " "
	}
	return at, ", " + added
}

// beside adds a key after the last one of its table: below the table's own header, at the
// top of the file, or as a dotted key after another.
func (t tomlText) beside(path []string, value string) (int, string, bool) {
	parent, key := path[:len(path)-1], writeKey(path[len(path)-1])
	last, dotted := -1, ""
	for i, e := range t.all {
		switch {
		case e.within != nil || e.array:
		case e.header && slices.Equal(e.path, parent):
			last, dotted = i, ""
		case !e.header && len(e.path) == len(path) && slices.Equal(e.path[:len(parent)], parent):
			last, dotted = i, strings.Join(e.key[:len(e.key)-1], ".")
		}
	}
	switch {
	case last < 0 && len(parent) > 0:
		return 0, "", false
	case last < 0:
		return 0, key + " = " + value + t.newline() + t.gap(), true
	case dotted != "":
		key = dotted + "." + key
	}
	e := t.all[last]
	at, before := t.after(e)
	return at, before + t.keyIndent(e) + key + " = " + value + t.newline(), true
}

// gap returns the blank line between a first key and the text after it.
func (t tomlText) gap() string {
	if t.text == "" || strings.HasPrefix(t.text, t.newline()) {
		return ""
	}
	return t.newline()
}

// after returns the offset of the line after an entry, and the end of line if it is missing
// there.
func (t tomlText) after(e entry) (int, string) {
	if e.end > 0 && t.text[e.end-1] != '\n' {
		return e.end, t.newline()
	}
	return e.end, ""
}

func (t tomlText) newline() string {
	if strings.Contains(t.text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

func (t tomlText) indent(e entry) string {
	line := t.text[e.line:e.start]
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// keyIndent returns the indentation of a key after an entry.
func (t tomlText) keyIndent(e entry) string {
	if !e.header {
		return t.indent(e)
	}
	return t.indent(e) + t.step()
}

// step returns the indentation of keys relative to their header in this file.
func (t tomlText) step() string {
	for _, e := range t.all {
		if e.header || e.within != nil || e.table < 0 {
			continue
		}
		header, key := t.indent(t.all[e.table]), t.indent(e)
		if rest, deeper := strings.CutPrefix(key, header); deeper {
			return rest
		}
	}
	return "  "
}

// section adds a new table after the last entry of its nearest existing relative, with its
// tables as sections of their own.
func (t tomlText) section(path []string, table map[string]any) (int, string) {
	indent, kin, last := t.place(path)
	written := make([]string, len(path))
	for i, key := range path {
		written[i] = writeKey(key)
		if kin >= 0 && i < len(t.all[kin].key) && i < len(t.all[kin].path) && t.all[kin].path[i] == key {
			written[i] = t.all[kin].key[i]
		}
	}
	at, before := len(t.text), ""
	if last >= 0 {
		at, before = t.after(t.all[last])
	} else if t.text != "" && !strings.HasSuffix(t.text, "\n") {
		before = t.newline()
	}
	if t.text != "" {
		before += t.newline()
	}
	return at, before + t.write(written, indent, table)
}

// place returns the place of a new table: its indentation, a header that begins with the
// same keys, and the last entry before it.
func (t tomlText) place(path []string) (indent string, kin, last int) {
	kin, last = -1, -1
	for depth := len(path); depth > 0 && last < 0; depth-- {
		for i, e := range t.all {
			if e.within != nil || !hasPrefix(e.path, path[:depth]) {
				continue
			}
			last = i
			if e.header && (kin < 0 || len(e.path) == len(path)) {
				kin = i
			}
		}
	}
	if kin < 0 {
		return "", kin, last
	}
	// If headers of another depth are indented by their depth, so is this one.
	depth := len(path) - len(t.all[kin].path)
	indent = t.indent(t.all[kin])
	if depth > 0 && t.nested() {
		indent += strings.Repeat(t.step(), depth)
	}
	return indent, kin, last
}

// nested reports whether headers are indented by their depth.
func (t tomlText) nested() bool {
	return slices.ContainsFunc(t.all, func(e entry) bool { return e.header && t.indent(e) != "" })
}

func (t tomlText) write(path []string, indent string, table map[string]any) string {
	var b strings.Builder
	values, tables := parted(table)
	if len(values) > 0 || len(tables) == 0 {
		fmt.Fprintf(&b, "%s[%s]%s", indent, strings.Join(path, "."), t.newline())
	}
	for _, key := range values {
		fmt.Fprintf(&b, "%s%s%s = %s%s", indent, t.step(), writeKey(key), writeTOML(table[key]), t.newline())
	}
	for i, key := range tables {
		if i > 0 || len(values) > 0 {
			b.WriteString(t.newline())
		}
		deeper := indent
		if t.nested() {
			deeper += t.step()
		}
		b.WriteString(t.write(append(slices.Clone(path), writeKey(key)), deeper, table[key].(map[string]any)))
	}
	return b.String()
}

// cut removes a key with its line, or all sections of a table.
func (tomlLanguage) cut(text string, path []string) (string, error) {
	all, err := parseTOML(text)
	if err != nil {
		return "", err
	}
	for i := len(all) - 1; i >= 0; i-- {
		switch e := all[i]; {
		case e.within == nil && hasPrefix(e.path, path):
			text = text[:e.line] + text[e.end:]
		case e.within != nil && hasPrefix(e.path, path) && !hasPrefix(e.within, path):
			return "", pathError(path, ErrLayout)
		}
	}
	return text, nil
}

func hasPrefix(path, prefix []string) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}
