package specs

import (
	"bytes"
	"errors"
	"fmt"
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
		return fmt.Errorf("line %d: %w", line, Invalid("key", strings.Join(first.Key(), "."), "a key that berth knows"))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		text := strings.TrimPrefix(bad.Error(), "toml: ")
		return fmt.Errorf("line %d: %s", line, strings.TrimSpace(strings.Join(bad.Key(), ".")+" "+text))
	}
	return err
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
// the order of specs/networks.md; a key with its default is left out.
func EncodeNetwork(n *Network) ([]byte, error) {
	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	err := enc.Encode(n)
	return b.Bytes(), err
}
