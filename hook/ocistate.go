package hook

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/runtime-spec/specs-go"

	berth "berth/specs"
)

// MaxState is the most that is read from standard input, in bytes.
const MaxState = 1 << 20

// maxID bounds a container's id; runtimes name folders by it (NAME_MAX).
const maxID = 255

// ReadState reads the state of a container as the runtime hands it to its
// hooks (runtime-spec, runtime.md, "State"). It is lenient: of all that may
// stand there berth uses the id, the status, the pid and the annotations.
func ReadState(r io.Reader) (*specs.State, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxState+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the container's state from standard input: %w", err)
	case len(data) == 0:
		return nil, berth.Invalid("standard input", "", "the container's state as JSON; berth-hook is run by an OCI runtime")
	case len(data) > MaxState:
		return nil, berth.Invalid("standard input", string(data[:32]), "a container's state of at most %d bytes", MaxState)
	}
	state := new(specs.State)
	if err := json.Unmarshal(data, state); err != nil {
		return nil, berth.Invalid("standard input", string(data), "the container's state as JSON (%v)", err)
	}
	if err := checkID(state.ID); err != nil {
		return nil, berth.At("state", err)
	}
	return state, nil
}

// checkID holds a container's id to what can be a key and be shown.
func checkID(id string) error {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, unicode.IsControl) || !utf8.ValidString(id) {
		return berth.Invalid("id", id, "a container's id of 1 to %d bytes, none a control character", maxID)
	}
	return nil
}
