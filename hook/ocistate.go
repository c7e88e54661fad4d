package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/runtime-spec/specs-go"

	berth "berth/specs"
)

// MaxState is the most that is read from standard input, in bytes.
const MaxState = 1 << 20

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

// Start attaches a container, whose network namespace is its process's.
func (h *Hook) Start(ctx context.Context, st *specs.State) error {
	if err := checkPublished(st); err != nil {
		return err
	}
	selections, err := berth.ParseAnnotations(st.Annotations)
	if err == nil {
		selections, err = berth.AddNetworks(selections, h.Networks)
	}
	if err != nil || len(selections) == 0 {
		return err
	}
	if st.Pid <= 0 {
		return berth.Invalid("state pid", fmt.Sprint(st.Pid), "the pid of the container's process")
	}
	namespace, err := kubernetesNamespace(st.Annotations)
	if err != nil {
		return err
	}
	_, err = h.Attach(ctx, Sandbox{ID: st.ID, Pid: st.Pid, Names: st.Annotations, Namespace: namespace}, selections)
	return err
}
