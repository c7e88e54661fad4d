package lab

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// Runc is an OCI runtime without an engine: runc or crun with hooks in config.json or, with a
// wrapper, berth-runtime, which adds them.
type Runc struct {
	Host    *Host
	Rootfs  string
	Wrapper Wrapper
	Program string // without a wrapper; "" for runc
}

func (r *Runc) runRuntime(args ...string) (string, error) {
	program, flags := cmp.Or(r.Program, "runc"), []string{"--root", filepath.Join(r.Host.Dir, "runc")}
	if r.Wrapper.Runtime != "" {
		var err error
		if program, err = r.Host.Wrapper(r.Wrapper); err != nil {
			return "", err
		}
	}
	if cmp.Or(r.Program, r.Wrapper.Runtime) == "crun" {
		flags = []string{"--root=" + filepath.Join(r.Host.Dir, "crun"), "--cgroup-manager=cgroupfs"}
	}
	return r.Host.Run(program, append(flags, args...)...)
}

// Start implements Engine.
func (r *Runc) Start(c Container) (string, error) {
	b := Bundle{ID: c.ID, Rootfs: r.Rootfs, Args: c.Args, Annotations: c.Annotations, NetNS: c.Network, UserNS: c.UserNS}
	if r.Wrapper.Runtime == "" {
		b.Hooks = r.Host.Hooks()
	}
	if other, joins := strings.CutPrefix(c.Network, joinPrefix); joins {
		pid, err := r.PID(other)
		if err != nil {
			return "", err
		}
		b.NetNS = fmt.Sprintf("/proc/%d/ns/net", pid)
	}
	return c.ID, r.StartBundle(b)
}

func (r *Runc) bundle(id string) string { return filepath.Join(r.Host.Dir, "bundles", id) }

// StartBundle starts a bundle that need not be an ordinary container.
func (r *Runc) StartBundle(b Bundle) error {
	if err := b.Write(r.bundle(b.ID)); err != nil {
		return err
	}
	return r.start(b.ID)
}

// start starts a bundle: a runtime in one step, wrapped runtimes in two, as engines do.
func (r *Runc) start(id string) error {
	if r.Wrapper.Runtime == "" {
		_, err := r.runRuntime("run", "--detach", "--bundle", r.bundle(id), id)
		return err
	}
	if _, err := r.runRuntime("create", "--bundle", r.bundle(id), id); err != nil {
		return err
	}
	_, err := r.runRuntime("start", id)
	if err != nil {
		_, _ = r.runRuntime("delete", "--force", id) // as engines do; the error of the start is returned
	}
	return err
}

// Exec implements Engine.
func (r *Runc) Exec(id, name string, args ...string) (string, error) {
	return r.runRuntime(append([]string{"exec", id, name}, args...)...)
}

// PID implements Engine.
func (r *Runc) PID(id string) (int, error) {
	out, err := r.runRuntime("state", id)
	if err != nil {
		return 0, err
	}
	var state struct{ PID int }
	return state.PID, json.Unmarshal([]byte(out), &state)
}

// Restart implements Engine. It uses the bundle as the runtime left it.
func (r *Runc) Restart(id string) error {
	if err := r.Stop(id); err != nil {
		return err
	}
	return r.start(id)
}

// Stop implements Engine.
func (r *Runc) Stop(id string) error {
	_, err := r.runRuntime("delete", "--force", id)
	return err
}
