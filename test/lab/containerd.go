package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Containerd is a containerd of the host's own, driven by ctr: with hooks in
// a config.json, or where a wrapper is given with berth-runtime for its runc.
type Containerd struct {
	Host    *Host
	Rootfs  string
	Wrapper Wrapper
	daemon  *Daemon
}

const containerdConfig = `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
`

func (c *Containerd) dir() string { return filepath.Join(c.Host.Dir, "containerd") }

func (c *Containerd) ctr(args ...string) (string, error) {
	return c.Host.Run("ctr", append([]string{"--address", filepath.Join(c.dir(), "socket")}, args...)...)
}

// StartDaemon starts containerd and waits until it answers.
func (c *Containerd) StartDaemon() (err error) {
	config := filepath.Join(c.dir(), "config.toml")
	if err := firstError(writeFile(config, containerdConfig), writeEngineNetwork("/etc/cni/net.d")); err != nil {
		return err
	}
	c.daemon, err = c.Host.start(filepath.Join(c.dir(), "log"), "containerd", "--config", config,
		"--root", filepath.Join(c.dir(), "root"), "--state", filepath.Join(c.dir(), "state"),
		"--address", filepath.Join(c.dir(), "socket"))
	if err != nil {
		return err
	}
	return c.daemon.ready(func() error { _, err := c.ctr("version"); return err })
}

// StopDaemon ends containerd.
func (c *Containerd) StopDaemon() error { return c.daemon.Stop() }

// Start implements Engine.
func (c *Containerd) Start(ct Container) (string, error) {
	args := []string{"run", "--detach", "--null-io"}
	if c.Wrapper.Runtime == "" {
		b := Bundle{ID: ct.ID, Rootfs: c.Rootfs, Args: ct.Args, Annotations: ct.Annotations, Hooks: c.Host.Hooks()}
		dir := filepath.Join(c.dir(), "bundles", b.ID)
		if err := b.Write(dir); err != nil {
			return "", err
		}
		_, err := c.ctr(append(args, "--config", filepath.Join(dir, "config.json"), b.ID)...)
		return b.ID, err
	}
	flags, err := c.wrappedFlags(ct)
	if err != nil {
		return "", err
	}
	_, err = c.ctr(slices.Concat(args, flags, []string{"--rootfs", c.Rootfs, ct.ID}, ct.Args)...)
	if err != nil {
		_, _ = c.ctr("container", "rm", ct.ID) // ctr leaves it; the start's error is what counts
	}
	return ct.ID, err
}

// withoutShares is a runtime that takes no notice of the processor shares which
// ctr asks for unasked: where cgroups are mixed, the unified hierarchy has no
// controller for them.
const withoutShares = `#!/bin/sh
[ ! -f config.json ] || sed -i 's/"cpu":{"shares":1024}/"cpu":{}/' config.json
exec %s "$@"
`

// wrappedFlags are those of ctr run for a container that berth-runtime starts.
func (c *Containerd) wrappedFlags(ct Container) ([]string, error) {
	w := c.Wrapper
	w.Runtime = filepath.Join(c.dir(), c.Wrapper.Runtime)
	program, err := c.Host.Wrapper(w)
	if err := firstError(err, os.WriteFile(w.Runtime, fmt.Appendf(nil, withoutShares, c.Wrapper.Runtime), 0o755)); err != nil {
		return nil, err
	}
	flags := []string{"--runc-binary", program, "--env", "PATH=/bin", "--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_RAW"}
	for _, key := range slices.Sorted(maps.Keys(ct.Annotations)) {
		flags = append(flags, "--annotation", key+"="+ct.Annotations[key])
	}
	if ct.UserNS {
		flags = append(flags, "--uidmap", userNamespace, "--gidmap", userNamespace)
	}
	other, joins := strings.CutPrefix(ct.Network, joinPrefix)
	switch {
	case joins:
		pid, err := c.PID(other)
		return append(flags, "--with-ns", fmt.Sprintf("network:/proc/%d/ns/net", pid)), err
	case ct.Network == HostNetwork:
		return append(flags, "--net-host"), nil
	case ct.Network == EngineNetwork:
		return append(flags, "--cni"), nil
	}
	return flags, nil
}

// Exec implements Engine.
func (c *Containerd) Exec(id, name string, args ...string) (string, error) {
	return c.ctr(append([]string{"task", "exec", "--exec-id", unique("exec"), id, name}, args...)...)
}

// PID implements Engine.
func (c *Containerd) PID(id string) (pid int, err error) {
	out, err := c.ctr("task", "ls")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == id {
			_, err := fmt.Sscan(fields[1], &pid)
			return pid, err
		}
	}
	return 0, fmt.Errorf("no task %q: %s", id, out)
}

// Restart implements Engine.
func (c *Containerd) Restart(id string) error {
	if err := c.endTask(id); err != nil {
		return err
	}
	_, err := c.ctr("task", "start", "--detach", "--null-io", id)
	return err
}

// Stop implements Engine.
func (c *Containerd) Stop(id string) error {
	if err := c.endTask(id); err != nil {
		return err
	}
	_, err := c.ctr("container", "rm", id)
	return err
}

// endTask kills and removes the task, if there is one.
func (c *Containerd) endTask(id string) error {
	if _, err := c.PID(id); err != nil {
		return nil
	}
	_, killed := c.ctr("task", "kill", "--signal", "KILL", id) // it may have ended
	err := Eventually(patience, func() error { _, err := c.ctr("task", "rm", id); return err })
	if err != nil {
		return fmt.Errorf("%w, after %v", err, killed)
	}
	return nil
}
