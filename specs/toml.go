package specs

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// decodeTOML reads a whole file into a struct; a key that the struct has not
// is an error. Errors name the line and the key.
func decodeTOML(data []byte, into any) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(into)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := &unknown.Errors[0]
		line, _ := first.Position()
		return fmt.Errorf("line %d: %w", line, unknownTOML(first.Key(), reflect.TypeOf(into).Elem()))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return fmt.Errorf("line %d: %s", line, strings.TrimSpace(strings.Join(bad.Key(), ".")+" "+inUsersWords(bad)))
	}
	return err
}

// inUsersWords is the text of an error without Go's types.
func inUsersWords(err *toml.DecodeError) string {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	what, of, mistyped := strings.Cut(text, " into struct field")
	if !mistyped {
		return text
	}
	want := "another kind of value"
	_, kind, _ := strings.Cut(of, "of type ")
	switch kind {
	case "int", "uint32":
		want = "a whole number"
	case "bool":
		want = "true or false"
	case "string", "specs.Mode", "specs.Driver", "specs.IPAM", "specs.IPv6", "specs.MACPolicy", "specs.IPvlanFlag":
		want = "a text, in quotes"
	}
	return fmt.Sprintf("is %s: want %s", strings.Replace(what, "cannot decode TOML", "a TOML", 1), want)
}

// unknownTOML says which keys there are where an unknown one stands.
func unknownTOML(key toml.Key, t reflect.Type) error {
	last := len(key) - 1
	keys, tables := tomlKeys(t)
	for _, part := range key[:last] {
		keys, tables = tomlKeys(tables[part])
	}
	for name, table := range tables {
		if below, _ := tomlKeys(table); slices.Contains(below, key[last]) {
			return Invalid("key", strings.Join(key, "."), "it below %s", name)
		}
	}
	return Invalid("key", strings.Join(key, "."), "one of %s", strings.Join(keys, ", "))
}

// tomlKeys returns the keys of a struct as a file has them, sorted, and the
// types of those that are tables.
func tomlKeys(t reflect.Type) (keys []string, tables map[string]reflect.Type) {
	tables = make(map[string]reflect.Type)
	if t == nil {
		return nil, tables
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if name == "" || name == "-" {
			continue
		}
		keys = append(keys, name)
		of := t.Field(i).Type
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() == reflect.Struct && of.PkgPath() == t.PkgPath() {
			tables[name] = of
		}
	}
	slices.Sort(keys)
	return keys, tables
}

// DecodeNetwork reads CONFIG/networks.d/NAME.toml, fills its defaults and
// checks it.
func DecodeNetwork(name string, data []byte) (*Network, error) {
	if err := CheckNetworkName(name); err != nil {
		return nil, At("network", err)
	}
	n := &Network{Name: name}
	if err := decodeTOML(data, n); err != nil {
		return nil, err
	}
	n.SetDefaults()
	return n, n.Check()
}

// EncodeNetwork writes a network as the file that [DecodeNetwork] reads, in
// the order of specs/networks.md. Driver, parent, mode, ipam and ipv6 are
// always in it; another key with its default is left out.
func EncodeNetwork(n *Network) ([]byte, error) {
	said := *n
	said.SetDefaults()
	clearDefault(&said.MAC, MACRandom)
	clearDefault(&said.IPvlanFlag, FlagBridge)
	if *said.DefaultRoute {
		said.DefaultRoute = nil
	}
	if *said.ConflictTimeout == Duration(DefaultConflictTimeout) {
		said.ConflictTimeout = nil
	}
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(said)
	return b.Bytes(), err
}

func clearDefault[T comparable](from *T, value T) {
	if *from == value {
		*from = *new(T)
	}
}
