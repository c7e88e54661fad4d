package edit

import (
	"maps"
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
