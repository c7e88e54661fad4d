package edit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

func (tomlLanguage) rawValue(text string, path []string) (string, bool) {
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

func (tomlLanguage) replaceValue(text string, path []string, value any) (string, Change, error) {
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

// insertValue chooses the natural place: beside the keys of the same table, or a new section
// after its last related one.
func (tomlLanguage) insertValue(text string, path []string, value any) (string, Change, error) {
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
	switch inline := t.inlineTable(parent); {
	case inline >= 0:
		at, added = t.addInlineKey(inline, path, value)
	case isTable:
		at, added = t.addSection(path, table)
	default:
		var found bool
		if at, added, found = t.addBesideKeys(path, change.Value); !found {
			at, added = t.addSection(parent, map[string]any{path[len(path)-1]: value})
		}
	}
	change.Added = added
	return text[:at] + added + text[at:], change, nil
}

// nestBelow nests a value under all but the first of some keys.
func nestBelow(keys []string, value any) any {
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

// inlineTable returns the innermost inline table on the way to a path, or -1 if there is none.
func (t tomlText) inlineTable(path []string) int {
	found := -1
	for i, e := range t.all {
		if !e.header && e.valueKind == unstable.InlineTable && hasPrefix(path, e.path) {
			found = i
		}
	}
	return found
}

// addInlineKey adds a key to an inline table, after the last.
func (t tomlText) addInlineKey(table int, path []string, value any) (int, string) {
	e := t.all[table]
	keys := path[len(e.path):]
	added := writeKey(keys[0]) + " = " + writeTOML(nestBelow(keys, value))
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

// addBesideKeys adds a key after the last one of its table: below the table's own header, at the
// top of the file, or as a dotted key after another.
func (t tomlText) addBesideKeys(path []string, value string) (int, string, bool) {
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
		return 0, key + " = " + value + t.newline() + t.gapAfterKey(), true
	case dotted != "":
		key = dotted + "." + key
	}
	e := t.all[last]
	at, before := t.afterEntry(e)
	return at, before + t.keyIndent(e) + key + " = " + value + t.newline(), true
}

// gapAfterKey returns the blank line between a first key and the text after it.
func (t tomlText) gapAfterKey() string {
	if t.text == "" || strings.HasPrefix(t.text, t.newline()) {
		return ""
	}
	return t.newline()
}

// afterEntry returns the offset of the line after an entry, and the end of line if it is missing
// there.
func (t tomlText) afterEntry(e entry) (int, string) {
	if e.end > 0 && t.text[e.end-1] != '\n' {
		return e.end, t.newline()
	}
	return e.end, ""
}

func (t tomlText) newline() string { return newlineOf(t.text) }

func (t tomlText) indentOf(e entry) string {
	line := t.text[e.line:e.start]
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// keyIndent returns the indentation of a key after an entry.
func (t tomlText) keyIndent(e entry) string {
	if !e.header {
		return t.indentOf(e)
	}
	return t.indentOf(e) + t.keyIndentStep()
}

// keyIndentStep returns the indentation of keys relative to their header in this file.
func (t tomlText) keyIndentStep() string {
	for _, e := range t.all {
		if e.header || e.within != nil || e.table < 0 {
			continue
		}
		header, key := t.indentOf(t.all[e.table]), t.indentOf(e)
		if rest, deeper := strings.CutPrefix(key, header); deeper {
			return rest
		}
	}
	return "  "
}

// addSection adds a new table after the last entry of its nearest existing relative, with its
// tables as sections of their own.
func (t tomlText) addSection(path []string, table map[string]any) (int, string) {
	indent, kin, last := t.sectionPlace(path)
	written := make([]string, len(path))
	for i, key := range path {
		written[i] = writeKey(key)
		if kin >= 0 && i < len(t.all[kin].key) && i < len(t.all[kin].path) && t.all[kin].path[i] == key {
			written[i] = t.all[kin].key[i]
		}
	}
	at, before := len(t.text), ""
	if last >= 0 {
		at, before = t.afterEntry(t.all[last])
	} else if t.text != "" && !strings.HasSuffix(t.text, "\n") {
		before = t.newline()
	}
	if t.text != "" {
		before += t.newline()
	}
	return at, before + t.tableText(written, indent, table)
}

// sectionPlace returns the place of a new table: its indentation, a header that begins with the
// same keys, and the last entry before it.
func (t tomlText) sectionPlace(path []string) (indent string, kin, last int) {
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
	indent = t.indentOf(t.all[kin])
	if depth > 0 && t.indentsHeaders() {
		indent += strings.Repeat(t.keyIndentStep(), depth)
	}
	return indent, kin, last
}

// indentsHeaders reports whether headers are indented by their depth.
func (t tomlText) indentsHeaders() bool {
	return slices.ContainsFunc(t.all, func(e entry) bool { return e.header && t.indentOf(e) != "" })
}

func (t tomlText) tableText(path []string, indent string, table map[string]any) string {
	var b strings.Builder
	values, tables := partKeys(table)
	if len(values) > 0 || len(tables) == 0 {
		fmt.Fprintf(&b, "%s[%s]%s", indent, strings.Join(path, "."), t.newline())
	}
	for _, key := range values {
		fmt.Fprintf(&b, "%s%s%s = %s%s", indent, t.keyIndentStep(), writeKey(key), writeTOML(table[key]), t.newline())
	}
	for i, key := range tables {
		if i > 0 || len(values) > 0 {
			b.WriteString(t.newline())
		}
		deeper := indent
		if t.indentsHeaders() {
			deeper += t.keyIndentStep()
		}
		b.WriteString(t.tableText(append(slices.Clone(path), writeKey(key)), deeper, table[key].(map[string]any)))
	}
	return b.String()
}

// cutValue removes a key with its line, or all sections of a table.
func (tomlLanguage) cutValue(text string, path []string) (string, error) {
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
