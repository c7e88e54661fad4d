package wrapper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxOutput bounds the stored output of a program, in bytes.
const maxOutput = 1 << 20

// attachNow attaches a container for which create left a note: the engine has created its
// network meanwhile. It requests the container's state from the runtime, which is a hook's
// input, and runs berth-hook with it. If that fails, the container is not started, and the
// hook has undone its changes.
func (c *Call) attachNow() error {
	n := c.newNote()
	hooks, err := n.readHooks()
	if len(hooks) == 0 || err != nil {
		return err
	}
	state, status, err := c.containerState()
	if err != nil {
		return err
	}
	if status != "created" {
		return nil // the runtime reports the error
	}
	for _, one := range hooks {
		if err := one.runHook(state); err != nil {
			return fmt.Errorf("attach container %q: %w", c.ID, err)
		}
	}
	return n.removeFile()
}

// containerState requests the state of the container from the runtime (runtime-spec, runtime.md,
// "State").
func (c *Call) containerState() (state []byte, status string, err error) {
	cmd, cancel := newCommand(c.Runtime, append(slices.Clone(c.Globals), "state", c.ID)...)
	defer cancel()
	if state, err = commandOutput(cmd); err != nil {
		return nil, "", fmt.Errorf("request the state of container %q: %w", c.ID, err)
	}
	var s struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(state, &s); err != nil {
		return nil, "", fmt.Errorf("parse the state of container %q from %q: %w", c.ID, c.Runtime, err)
	}
	return state, s.Status, nil
}

// runHook runs a hook as a runtime would: with the state, an environment of its own, and from a
// directory that the container does not control.
func (h *hook) runHook(state []byte) error {
	var args []string
	if len(h.Args) > 0 {
		args = h.Args[1:]
	}
	cmd, cancel := newCommand(h.Path, args...)
	defer cancel()
	cmd.Stdin, cmd.Env, cmd.Dir = bytes.NewReader(state), h.Env, "/"
	if cmd.Env == nil {
		cmd.Env = hookEnv
	}
	_, err := commandOutput(cmd)
	return err
}

// newCommand returns a program that ends when this one is killed, or after the timeout of hooks.
func newCommand(path string, args ...string) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), hookTimeout*time.Second)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd, cancel
}

// commandOutput runs a program and returns its standard output; its standard error is in the error.
func commandOutput(cmd *exec.Cmd) ([]byte, error) {
	out, errOut := &limited{}, &limited{}
	cmd.Stdout, cmd.Stderr = out, errOut
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(string(errOut.kept)); text != "" {
			return nil, fmt.Errorf("%s (%w)", text, err)
		}
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	return out.kept, nil
}

// limited keeps the first bytes written to it.
type limited struct{ kept []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[:min(len(p), maxOutput-len(l.kept))]...)
	return len(p), nil
}
