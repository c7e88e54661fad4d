package edit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Format is a language of configuration files.
type Format string

// The formats.
const (
	TOML Format = "toml"
	JSON Format = "json"
)

// Change is a value that was set, with the data to undo it.
type Change struct {
	Path  []string `json:"path"`
	Value string   `json:"value"`           // as written in the file; "" for a table
	Old   *string  `json:"old,omitempty"`   // the earlier value; nil if there was none
	Added string   `json:"added,omitempty"` // all text that was inserted for it
}

// Errors of this package, each wrapped with the path.
var (
	// ErrLayout is returned for a file in which the value cannot be set without changing
	// another one.
	ErrLayout = errors.New("the file's layout cannot be edited")
	// ErrChanged is returned for a change that was modified since, and so is not undone.
	ErrChanged = errors.New("the value has changed since")
)

// language is the part that differs between formats.
type language interface {
	decodeText(text string) (map[string]any, error)
	replaceValue(text string, path []string, value any) (string, Change, error) // an existing value
	insertValue(text string, path []string, value any) (string, Change, error)  // a new value, with missing tables
	cutValue(text string, path []string) (string, error)                        // a value, or a whole table
	rawValue(text string, path []string) (string, bool)                         // a value, as written
}

func (f Format) language() language {
	if f == JSON {
		return jsonLanguage{}
	}
	return tomlLanguage{}
}

// Decode returns the values of a file: strings, bools, numbers, lists as []any and tables
// as map[string]any. An empty file has none.
func (f Format) Decode(text string) (map[string]any, error) {
	if strings.HasPrefix(text, "\xef\xbb\xbf") {
		return nil, errors.New("the file begins with a byte order mark; save it without one, as plain UTF-8")
	}
	return f.language().decodeText(text)
}

// Set sets a value: a string, bool or []string, any value returned by Decode, or a
// map[string]any of these, whose keys are set one by one if the table exists. It returns no
// changes if the value is set already. A null of JSON counts as no value.
func (f Format) Set(text string, path []string, value any) (string, []Change, error) {
	values, err := f.Decode(text)
	if err != nil {
		return "", nil, err
	}
	if null := findNull(values, path); null < len(path) {
		path, value = path[:null], nestBelow(path[null-1:], value)
	}
	now, there := Lookup(values, path...)
	table, isTable := value.(map[string]any)
	_, wasTable := now.(map[string]any)
	switch {
	case there && isTable && wasTable:
		return f.setAll(text, path, table)
	case there && equalValues(now, plainValue(value)):
		return text, nil, nil
	case there && now != nil && wasTable != isTable:
		return "", nil, pathError(path, ErrLayout)
	}
	var change Change
	var edited string
	if there {
		edited, change, err = f.language().replaceValue(text, path, value)
	} else {
		edited, change, err = f.language().insertValue(text, path, value)
	}
	if err != nil {
		return "", nil, err
	}
	putValue(values, path, plainValue(value))
	return edited, []Change{change}, f.verifyValues(edited, values, path)
}

func (f Format) setAll(text string, path []string, table map[string]any) (string, []Change, error) {
	var all []Change
	for _, key := range slices.Sorted(maps.Keys(table)) {
		edited, changes, err := f.Set(text, append(slices.Clone(path), key), table[key])
		if err != nil {
			return "", nil, err
		}
		text, all = edited, append(all, changes...)
	}
	return text, all, nil
}

// Undo reverts a change. If the value is already gone, Undo does nothing. If it was
// modified since, Undo returns an error that wraps [ErrChanged].
func (f Format) Undo(text string, c Change) (string, error) {
	values, err := f.Decode(text)
	if err != nil {
		return "", err
	}
	if _, there := Lookup(values, c.Path...); !there {
		return text, nil
	}
	if raw, _ := f.language().rawValue(text, c.Path); c.Value != "" && raw != c.Value {
		return text, pathError(c.Path, ErrChanged)
	}
	if c.Old != nil {
		return f.putBack(text, values, c)
	}
	removeValue(values, c.Path)
	if strings.Count(text, c.Added) == 1 {
		edited := strings.Replace(text, c.Added, "", 1)
		if f.verifyValues(edited, values, c.Path) == nil {
			return edited, nil
		}
	}
	edited, err := f.language().cutValue(text, c.Path)
	if err == nil {
		edited, err = f.cutEmpty(edited, c)
	}
	if err != nil {
		return "", err
	}
	return edited, f.verifyValues(edited, values, c.Path)
}

// cutEmpty removes the tables that were inserted with a value and are empty without it.
func (f Format) cutEmpty(text string, c Change) (string, error) {
	for parent := c.Path[:len(c.Path)-1]; len(parent) > 0; parent = parent[:len(parent)-1] {
		values, err := f.Decode(text)
		if err != nil {
			return "", err
		}
		now, _ := Lookup(values, parent...)
		table, isTable := now.(map[string]any)
		if !isTable || len(table) > 0 || !strings.Contains(c.Added, parent[len(parent)-1]) {
			break
		}
		if text, err = f.language().cutValue(text, parent); err != nil {
			return "", err
		}
	}
	return text, nil
}

// putBack replaces the value that was set with the old one.
func (f Format) putBack(text string, values map[string]any, c Change) (string, error) {
	old, err := f.decodeValue(*c.Old)
	if err != nil {
		return "", pathError(c.Path, fmt.Errorf("%w: the recorded value %q: %w", ErrLayout, *c.Old, err))
	}
	edited, _, err := f.language().replaceValue(text, c.Path, verbatim(*c.Old))
	if err != nil {
		return "", err
	}
	putValue(values, c.Path, old)
	return edited, f.verifyValues(edited, values, c.Path)
}

// decodeValue decodes one value, as written in a file.
func (f Format) decodeValue(raw string) (any, error) {
	const key = "value"
	text := key + " = " + raw
	if f == JSON {
		text = `{"` + key + `": ` + raw + "}"
	}
	values, err := f.Decode(text)
	if err == nil && len(values) != 1 {
		err = errors.New("more than one value")
	}
	return values[key], err
}

// verifyValues compares an edited text's values with the wanted ones. It ignores tables without
// values, as a TOML header may stay or go.
func (f Format) verifyValues(text string, want map[string]any, path []string) error {
	got, err := f.Decode(text)
	if err != nil {
		return pathError(path, fmt.Errorf("%w: %w", ErrLayout, err))
	}
	if !equalValues(pruneTables(got), pruneTables(want)) {
		return pathError(path, ErrLayout)
	}
	return nil
}

func pathError(path []string, err error) error {
	return fmt.Errorf("edit %q: %w", strings.Join(path, "."), err)
}

// verbatim is a value as written in a file.
type verbatim string
