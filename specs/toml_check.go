package specs

import (
	"bytes"
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlChecker checks the keys and kinds of values of a file against a struct. The
// decoder is more lenient: it ignores the case of keys, and accepts an integer as
// a duration.
type tomlChecker struct {
	data   []byte
	parser unstable.Parser
	key    *unstable.Node // the last part of the last key
}

// checkTOML returns an error for the first key that t does not have, for the first
// value that is no text although its type has a text form, and for the first word
// that its type does not have. It leaves errors
// of syntax to the decoder.
func checkTOML(data []byte, t reflect.Type) error {
	c := tomlChecker{data: data}
	c.parser.Reset(data)
	table, path := t, []string(nil)
	for c.parser.NextExpression() {
		e := c.parser.Expression()
		of, at, err := c.resolveKey(t, nil, e.Key())
		if e.Kind == unstable.KeyValue {
			if of, at, err = c.resolveKey(table, path, e.Key()); err == nil {
				err = c.checkValue(of, at, e.Value())
			}
		} else {
			table, path = of, at
			err = cmp.Or(err, c.checkHeader(t, path, e.Kind))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resolveKey follows a dotted key from the table t at path. It returns the type of
// its value, or nil if a part before the last is no table.
func (c *tomlChecker) resolveKey(t reflect.Type, path []string, key unstable.Iterator) (reflect.Type, []string, error) {
	path = slices.Clone(path)
	for key.Next() {
		c.key = key.Node()
		if path = append(path, string(c.key.Data)); !isTable(t) {
			t = nil
			continue
		}
		field, ok := tomlField(t, path[len(path)-1])
		if !ok {
			return nil, nil, c.atNode(key.Node(), unknownTOML(path, t))
		}
		t = field
	}
	return t, path, nil
}

// checkValue checks the value of a key, and the values inside of it.
func (c *tomlChecker) checkValue(t reflect.Type, path []string, value *unstable.Node) error {
	if t == nil {
		return nil
	}
	isText := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch {
	case isText && value.Kind != unstable.String:
		return c.atNode(value, fmt.Errorf("%s is a TOML %s: want %s",
			strings.Join(path, "."), kindName(value.Kind), textFor(t)))
	// the modes are those of the driver, see Check
	case isText && t != reflect.TypeFor[Mode]():
		// The decoder sets a string without its UnmarshalText, and its errors of addresses are Go's.
		word := reflect.New(t).Interface().(encoding.TextUnmarshaler)
		if err := textError(string(value.Data), word.UnmarshalText(value.Data)); err != nil {
			return c.atNode(value, At(strings.Join(path, "."), err))
		}
	case value.Kind == unstable.Array && t.Kind() == reflect.String: // the decoder's line is wrong inside of a list
		return c.atNode(value, fmt.Errorf("%s is a TOML array: want a text, in quotes", strings.Join(path, ".")))
	case value.Kind == unstable.Array:
		for it := value.Children(); it.Next(); {
			if err := c.checkValue(elementOf(t), path, it.Node()); err != nil {
				return err
			}
		}
	case value.Kind == unstable.InlineTable && isTable(t):
		return c.checkMembers(t, path, value)
	}
	return nil
}

// checkHeader checks that a header of one key is that of a list exactly if the file's form has a list
// of tables there. The decoder accepts one table as a list.
func (c *tomlChecker) checkHeader(t reflect.Type, path []string, kind unstable.Kind) error {
	if len(path) != 1 {
		return nil
	}
	isList := typeOfKey(t, path[0]).Kind() == reflect.Slice
	switch {
	case isList && kind == unstable.Table:
		return c.atNode(c.key, fmt.Errorf("%[1]s is one table: want a list of tables, each below [[%[1]s]]", path[0]))
	case !isList && kind == unstable.ArrayTable:
		return c.atNode(c.key, fmt.Errorf("%[1]s is a list of tables: want one table, below [%[1]s]", path[0]))
	}
	return nil
}

func (c *tomlChecker) checkMembers(t reflect.Type, path []string, table *unstable.Node) error {
	for it := table.Children(); it.Next(); {
		member := it.Node()
		if member.Kind != unstable.KeyValue {
			continue
		}
		of, at, err := c.resolveKey(t, path, member.Key())
		if err == nil {
			err = c.checkValue(of, at, member.Value())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// atNode adds the line of a node before an error.
func (c *tomlChecker) atNode(node *unstable.Node, err error) error {
	// A list or a table has no position of its own. The first of its parts with a
	// position is on the line where it begins, or near.
	for node.Raw.Length == 0 && node.Child().Valid() {
		node = node.Child()
	}
	if node.Raw.Length == 0 { // an empty list
		node = c.key
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(c.data[:node.Raw.Offset], []byte("\n")), err)
}

// kindName names a kind of value as the decoder does.
func kindName(kind unstable.Kind) string {
	switch kind {
	case unstable.Bool:
		return "boolean"
	case unstable.InlineTable:
		return "inline table"
	case unstable.LocalDate, unstable.LocalTime, unstable.LocalDateTime, unstable.DateTime:
		return "date or time"
	}
	return strings.ToLower(kind.String())
}

// textFor describes a value that has a text form.
func textFor(t reflect.Type) string {
	if t == reflect.TypeFor[Duration]() {
		return `a duration in quotes, as "100ms"`
	}
	return "a text, in quotes"
}

// unknownTOML lists the keys of the table that has an unknown key.
func unknownTOML(key []string, t reflect.Type) error {
	last := key[len(key)-1]
	keys, tables := tomlKeys(t)
	for name, table := range tables {
		if below, _ := tomlKeys(table); slices.Contains(below, last) {
			return Unusable("key", strings.Join(key, "."), "this key belongs below %s", name)
		}
	}
	if i := slices.IndexFunc(keys, func(k string) bool { return strings.EqualFold(k, last) }); i >= 0 {
		return Invalid("key", strings.Join(key, "."), "%s: keys are lower-case", keys[i])
	}
	return Invalid("key", strings.Join(key, "."), "one of %s", strings.Join(keys, ", "))
}

// tomlKeys returns the keys of a struct in their spelling in a file, sorted, and
// the types of those that are tables.
func tomlKeys(t reflect.Type) (keys []string, tables map[string]reflect.Type) {
	tables = make(map[string]reflect.Type)
	for i := range t.NumField() {
		name := tomlName(t.Field(i))
		if name == "" {
			continue
		}
		keys = append(keys, name)
		if of := elementOf(t.Field(i).Type); isTable(of) {
			tables[name] = of
		}
	}
	slices.Sort(keys)
	return keys, tables
}

// tomlField returns the type of the field for a key of exactly this name.
func tomlField(t reflect.Type, name string) (reflect.Type, bool) {
	of := typeOfKey(t, name)
	if of == nil {
		return nil, false
	}
	if element := elementOf(of); isTable(element) || of.Kind() == reflect.Pointer {
		return element, true
	}
	return of, true
}

// typeOfKey returns the type of the field for a key of exactly this name, or nil if there is none.
func typeOfKey(t reflect.Type, name string) reflect.Type {
	for i := range t.NumField() {
		if f := t.Field(i); name != "" && tomlName(f) == name {
			return f.Type
		}
	}
	return nil
}

// tomlName returns the key of a field, or "" if a file cannot set it.
func tomlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return strings.TrimPrefix(name, "-")
}

// elementOf returns the element type of a pointer or a list, and any other type
// unchanged.
func elementOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		return t.Elem()
	}
	return t
}

// isTable reports whether a type is a struct that is a table in a file.
func isTable(t reflect.Type) bool {
	if t == nil || t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if tomlName(t.Field(i)) != "" {
			return true
		}
	}
	return false
}
