package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Bounds of a value of the store: of a pool, whose exclusions may be many, and of any other.
const (
	maxPool  = 64 << 10
	maxValue = 4096
)

// NodeID is the random identity of a node: 32 hexadecimal digits.
type NodeID string

// parseNodeID refuses all but 32 lower-case hexadecimal digits.
func parseNodeID(s string) (NodeID, error) {
	if len(s) != 32 || strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("node %q: want 32 lower-case hexadecimal digits", s)
	}
	return NodeID(s), nil
}

// ownerValue is the value of a block, a static address or a MAC prefix.
type ownerValue struct {
	Node NodeID `json:"node"`
	// Idle means that the owner does not lease addresses of the block until it has
	// removed this mark. Every node may take an idle block by compare-and-swap.
	Idle bool `json:"idle,omitempty"`
}

// Registration is the value of a node's own key.
type Registration struct {
	Name string `json:"name"`
	Boot string `json:"boot"` // the kernel's boot id
	// Since is when the node registered, by its own clock. It is for people.
	Since time.Time `json:"since,omitzero"`
}

// decode reads a value that another node, or an attacker, has written.
func decode(value []byte, into any) error { return decodeUpTo(maxValue, value, into) }

func decodePool(value []byte) (t PoolText, err error) {
	return t, decodeUpTo(maxPool, value, &t)
}

func decodeUpTo(limit int, value []byte, into any) error {
	if len(value) > limit {
		return fmt.Errorf("it has %d bytes; at most %d are permitted", len(value), limit)
	}
	return decodeStrict(value, into)
}

// decodeStrict refuses unknown keys and text after the value.
func decodeStrict(value []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more text follows the value")
	}
	return nil
}

func decodeOwner(value []byte) (v ownerValue, err error) {
	if err := decode(value, &v); err != nil {
		return v, err
	}
	_, err = parseNodeID(string(v.Node))
	return v, err
}

func decodeRegistration(value []byte) (r Registration, err error) {
	if err := decode(value, &r); err != nil {
		return r, err
	}
	if !printable(r.Name, 253) || !printable(r.Boot, 64) || r.Boot == "" {
		return r, fmt.Errorf("name %q or boot id %q: want printable ASCII", r.Name, r.Boot)
	}
	return r, nil
}

// printable reports whether a text is short and safe for a terminal.
func printable(s string, limit int) bool {
	return len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// encode returns the JSON text of one of the types above, which all can be encoded.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
