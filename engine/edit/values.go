package edit

import (
	"maps"
	"math"
	"reflect"
	"slices"
)

// Lookup returns the value at a path.
func Lookup(values map[string]any, path ...string) (any, bool) {
	var at any = values
	for _, key := range path {
		table, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = table[key]; !ok {
			return nil, false
		}
	}
	return at, true
}

// findNull returns the number of a path's keys that lead to a null, or the path's length if none does.
func findNull(values map[string]any, path []string) int {
	for i := range path {
		if value, there := Lookup(values, path[:i+1]...); there && value == nil {
			return i + 1
		}
	}
	return len(path)
}

// equalValues reports whether decoded values are equal. Other than for reflect.DeepEqual, NaN equals
// itself.
func equalValues(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, func(a, b any) bool { return equalValues(a, b) })
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalValues)
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || math.IsNaN(a) && math.IsNaN(b))
	}
	return reflect.DeepEqual(a, b)
}

// putValue sets a value, and creates the tables that lead to it.
func putValue(values map[string]any, path []string, value any) {
	for _, key := range path[:len(path)-1] {
		below, ok := values[key].(map[string]any)
		if !ok {
			below = make(map[string]any)
			values[key] = below
		}
		values = below
	}
	values[path[len(path)-1]] = value
}

func removeValue(values map[string]any, path []string) {
	if table, ok := Lookup(values, path[:len(path)-1]...); ok {
		delete(table.(map[string]any), path[len(path)-1])
	}
}

// plainValue converts a value to the types that decoding returns.
func plainValue(value any) any {
	switch v := value.(type) {
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = plainValue(s)
		}
		return list
	case map[string]any:
		table := make(map[string]any, len(v))
		for key, one := range v {
			table[key] = plainValue(one)
		}
		return table
	}
	return value
}

// pruneTables returns values without the empty tables.
func pruneTables(values map[string]any) map[string]any {
	kept := make(map[string]any, len(values))
	for key, value := range values {
		if table, ok := value.(map[string]any); ok {
			if table = pruneTables(table); len(table) == 0 {
				continue
			}
			value = table
		}
		kept[key] = value
	}
	return kept
}

// partKeys returns the keys of a table in order: those of values, and those of tables.
func partKeys(table map[string]any) (values, tables []string) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if _, ok := table[key].(map[string]any); ok {
			tables = append(tables, key)
		} else {
			values = append(values, key)
		}
	}
	return values, tables
}
