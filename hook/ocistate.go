package hook

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"berth/internal/early"
	"berth/internal/plain"
	"berth/specs"
)

// MaxState is the largest state, in bytes, that is read from standard input.
const MaxState = 1 << 20

// State is the part of a container's state that the hook uses (runtime-spec, specs-go/state.go).
// Package specs-go formats its version at every start of a program.
type State struct {
	ID          string            `json:"id"`
	Status      string            `json:"status"`
	Pid         int               `json:"pid,omitempty"`
	Bundle      string            `json:"bundle"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// stateStopped is the status of a container whose process has ended.
const stateStopped = "stopped"

// readStateWithin is ReadState, bounded by a context: a caller that does not
// close standard input must not hold the hook. The read itself cannot be
// interrupted; it ends with the process.
func readStateWithin(ctx context.Context, r io.Reader) (*State, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := readBounded(r)
		done <- result{data, err}
	}()
	select {
	case got := <-done:
		if got.err != nil {
			return nil, got.err
		}
		return parseState(got.data) // here, because this goroutine has a large stack already
	case <-ctx.Done():
		return nil, fmt.Errorf("read the container's state from standard input: no end of file before the timeout "+
			"(--timeout), so the caller must close it: %w", context.Cause(ctx))
	}
}

// ReadState reads the state of a container that the runtime writes to its hooks
// (runtime-spec, runtime.md, "State"). It is lenient: berth uses only the id, the
// status, the pid and the annotations.
func ReadState(r io.Reader) (*State, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, err
	}
	return parseState(data)
}

// usualState is the size of the first buffer, in bytes. Most states are smaller.
const usualState = 2048

// readBounded reads a state, and one byte more if it is too long.
func readBounded(r io.Reader) ([]byte, error) {
	data := early.Make(usualState)
	for len(data) <= MaxState {
		if len(data) == cap(data) {
			data = slices.Grow(data, len(data))
		}
		n, err := r.Read(data[len(data):min(cap(data), MaxState+1)])
		data = data[:len(data)+n]
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the container's state from standard input: %w", err)
		}
	}
	return data, nil
}

func parseState(data []byte) (*State, error) {
	switch {
	case len(data) == 0:
		return nil, specs.Invalid("standard input", "", "the container's state as JSON; berth-hook is run by an OCI runtime")
	case len(data) > MaxState:
		return nil, specs.Invalid("standard input", string(data[:32]), "a container's state of at most %d bytes", MaxState)
	}
	state := new(State)
	if !plain.Decode(data, state) {
		if err := checkRawID(data); err != nil {
			return nil, specs.At("state", err)
		}
		err := json.Unmarshal(data, state)
		if kind := new(json.UnmarshalTypeError); errors.As(err, &kind) {
			err = fmt.Errorf("%s cannot be a value as %s", cmp.Or(kind.Field, "the state"), kind.Value)
		}
		if err != nil {
			return nil, specs.Invalid("standard input", string(data), "the container's state as JSON (%v)", err)
		}
	}
	if err := checkID(state.ID); err != nil {
		return nil, specs.At("state", err)
	}
	return state, nil
}

// checkRawID checks the id before it is decoded: encoding/json replaces each byte
// that is not UTF-8 by U+FFFD, so two ids could become one.
func checkRawID(data []byte) error {
	var raw struct{ ID json.RawMessage }
	if json.Unmarshal(data, &raw) == nil && !utf8.Valid(raw.ID) {
		return checkID(string(bytes.Trim(raw.ID, `"`)))
	}
	return nil
}

// Start attaches a container in the network namespace of its process.
func (h *Hook) Start(ctx context.Context, st *State) error {
	if err := checkPublished(st); err != nil {
		return err
	}
	selections, err := specs.ParseAnnotations(st.Annotations)
	if err == nil {
		selections, err = specs.AddNetworks(selections, h.Networks)
	}
	if err != nil || len(selections) == 0 {
		return err
	}
	if st.Pid <= 0 {
		return specs.Invalid("state pid", fmt.Sprint(st.Pid), "the pid of the container's process")
	}
	namespace, err := kubernetesNamespace(st.Annotations)
	if err != nil {
		return err
	}
	_, err = h.Attach(ctx, Sandbox{
		ID: st.ID, Pid: st.Pid, Names: st.Annotations, Namespace: namespace, Hostname: hostnameIn(st.Bundle),
		Pending: func() string { return pendingNetwork(st) },
	}, selections)
	return err
}

// hostnameIn returns the host name of a container in its bundle (runtime-spec,
// config.md, "Hostname"), or "" if it has none.
func hostnameIn(bundle string) string {
	var config struct {
		Hostname string `json:"hostname"`
	}
	readEngineFile(filepath.Join(bundle, "config.json"), &config)
	return config.Hostname
}
