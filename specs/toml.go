package specs

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// utf8BOM is the byte order mark that some editors put before UTF-8.
const utf8BOM = "\xef\xbb\xbf"

// decodeTOML reads a whole file into a struct. A key that does not match a key of
// the struct exactly is an error. Errors name the line and the key.
func decodeTOML(data []byte, into any) error {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return errors.New("line 1: the file is UTF-16: save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte(utf8BOM))
	if decodePlainTOML(data, reflect.ValueOf(into).Elem()) {
		return nil
	}
	return decodeAnyTOML(data, into)
}

// decodeAnyTOML is decodeTOML for all files, those with errors too.
func decodeAnyTOML(data []byte, into any) error {
	if err := checkTOML(data, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	// The decoder ignores the case of keys; checkTOML has refused other cases.
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(into)
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return fmt.Errorf("line %d: %s", line, strings.TrimSpace(strings.Join(bad.Key(), ".")+" "+inUsersWords(bad)))
	}
	return err
}

// inUsersWords returns the text of an error without Go's types.
func inUsersWords(err *toml.DecodeError) string {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	switch value, ofInt := strings.CutSuffix(text, " into int"); {
	case text == "cannot decode TOML table into int": // a sysctl without quotes
		return "is a TOML table: want the whole name in quotes, and a whole number"
	case ofInt:
		return strings.Replace(value, "cannot decode TOML", "is a TOML", 1) + ": want a whole number"
	case strings.HasPrefix(text, "negative integer value"):
		return "is negative: want a whole number, 0 or more"
	case strings.HasPrefix(text, "integer value"), strings.HasSuffix(text, "signed integer"):
		return "is too large: want a smaller number"
	}
	what, of, mistyped := strings.Cut(text, " into struct field")
	if !mistyped {
		return text
	}
	want := "a text, in quotes"
	_, kind, _ := strings.Cut(of, "of type ")
	if strings.HasPrefix(kind, "[]") {
		want = "a list, in brackets"
	}
	switch kind {
	case "int", "uint32":
		want = "a whole number"
	case "bool":
		want = "true or false"
	case "specs.Subnet", "specs.Route", "specs.Policy", "specs.Agent", "specs.ClusterConfig", "specs.Sysctls":
		want = "a table"
	}
	return fmt.Sprintf("is %s: want %s", strings.Replace(what, "cannot decode TOML", "a TOML", 1), want)
}

// DecodeNetwork reads CONFIG/networks.d/NAME.toml, sets its defaults and checks
// it.
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

// EncodeNetwork returns a network in the form of the file that [DecodeNetwork]
// reads, in the order of specs/networks.md. Driver, parent, mode, ipam and ipv6 are
// always present; other keys are omitted if they have their default.
func EncodeNetwork(n *Network) ([]byte, error) {
	written := *n
	written.SetDefaults()
	written.clearDHCPDefaults()
	written.clearClusterDefaults()
	if !n.UsesDHCP() {
		clearDefault(&written.MAC, MACRandom)
	}
	clearDefault(&written.IPvlanFlag, FlagBridge)
	if *written.DefaultRoute {
		written.DefaultRoute = nil
	}
	if *written.ConflictTimeout == Duration(DefaultConflictTimeout) {
		written.ConflictTimeout = nil
	}
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(written)
	return b.Bytes(), err
}

func clearDefault[T comparable](from *T, value T) {
	if *from == value {
		*from = *new(T)
	}
}
