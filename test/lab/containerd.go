package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Containerd is a containerd of the host's own, driven by ctr: with hooks in a
// config.json, or with a wrapper, which puts berth-runtime in place of runc.
type Containerd struct {
	Host    *Host
	Rootfs  string
	Wrapper Wrapper
	Config  string // containerd's configuration, "" for one without CRI
	Plain   bool   // containers use runc itself unless their flags name another runtime

	// UsersHooked is whether containers in a user namespace have berth's hooks in their
	// config.json, for a ctr that ignores --runc-binary for such containers.
	UsersHooked bool
	daemon      *Daemon
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
	if c.Config != "" {
		config = c.Config
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

// KillDaemon ends containerd by SIGKILL. Its shims and containers stay.
func (c *Containerd) KillDaemon() error { return c.daemon.Kill() }

// Start implements Engine.
func (c *Containerd) Start(ct Container) (string, error) { return c.StartWith(ct) }

// StartWith starts a container with further flags of ctr run.
func (c *Containerd) StartWith(ct Container, further ...string) (string, error) {
	flags, err := c.flags(ct)
	if err != nil {
		return "", err
	}
	_, err = c.ctr(slices.Concat([]string{"run", "--detach", "--null-io"}, further, flags)...)
	if err != nil {
		_, _ = c.ctr("container", "rm", ct.ID) // ctr leaves it; the error of the start is returned
	}
	return ct.ID, err
}

// flags returns the flags of ctr run for a container. ctr has no flag for a user namespace
// of a root file system that does not come from an image.
func (c *Containerd) flags(ct Container) ([]string, error) {
	b := Bundle{ID: ct.ID, Rootfs: c.Rootfs, Args: ct.Args, Annotations: ct.Annotations, UserNS: ct.UserNS}
	config := filepath.Join(c.dir(), "bundles", b.ID)
	if c.Wrapper.Runtime == "" && !c.Plain {
		b.Hooks = c.Host.Hooks()
		return []string{"--config", filepath.Join(config, "config.json"), ct.ID}, b.Write(config)
	}
	program, err := c.program()
	switch {
	case err != nil:
		return nil, err
	case ct.UserNS:
		if c.UsersHooked {
			b.Hooks = c.Host.Hooks()
		}
		return []string{"--runc-binary", program, "--config", filepath.Join(config, "config.json"), ct.ID}, b.Write(config)
	}
	flags := []string{"--runc-binary", program, "--env", "PATH=/bin", "--cap-add", "CAP_NET_ADMIN",
		"--cap-add", "CAP_NET_RAW"}
	for _, key := range slices.Sorted(maps.Keys(ct.Annotations)) {
		flags = append(flags, "--annotation", key+"="+ct.Annotations[key])
	}
	network, err := c.network(ct)
	return slices.Concat(flags, network, []string{"--rootfs", c.Rootfs, ct.ID}, ct.Args), err
}

// Version returns the version of containerd, without a leading v.
func (c *Containerd) Version() (string, error) {
	out, err := c.Host.Run("containerd", "--version")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(out) // containerd REPOSITORY VERSION …
	if len(fields) < 3 {
		return "", fmt.Errorf("containerd --version prints %q, and no version", out)
	}
	return strings.TrimPrefix(fields[2], "v"), nil
}

func (c *Containerd) network(ct Container) ([]string, error) {
	switch ct.Network {
	case "":
		return nil, nil
	case HostNetwork:
		return []string{"--net-host"}, nil
	case EngineNetwork:
		return []string{"--cni"}, nil
	}
	pid, err := c.PID(strings.TrimPrefix(ct.Network, joinPrefix))
	return []string{"--with-ns", fmt.Sprintf("network:/proc/%d/ns/net", pid)}, err
}

// withoutShares is a runtime that ignores processor shares, which ctr and CRI set by
// default: if cgroups are mixed, the unified hierarchy has no controller for them.
const withoutShares = `#!/bin/sh
[ ! -f config.json ] || sed -i 's/"cpu":{"shares":[0-9]*}/"cpu":{}/' config.json
exec %s "$@"
`

// program returns the program that ctr runs as runc.
func (c *Containerd) program() (string, error) {
	if c.Plain {
		return c.lowRuntime("runc")
	}
	w := c.Wrapper
	low, err := c.lowRuntime(w.Runtime)
	if err != nil {
		return "", err
	}
	w.Runtime = low
	return c.Host.Wrapper(w)
}

// lowRuntime returns the path of a runtime without shares. It is written only once, because
// it may be running.
func (c *Containerd) lowRuntime(name string) (string, error) {
	path := filepath.Join(c.dir(), name)
	if exists(path) {
		return path, nil
	}
	return path, os.WriteFile(path, fmt.Appendf(nil, withoutShares, name), 0o755)
}

// Exec implements Engine.
func (c *Containerd) Exec(id, name string, args ...string) (string, error) {
	return execWhole(func(command []string) (string, error) {
		return c.ctr(append([]string{"task", "exec", "--exec-id", unique("exec"), id}, command...)...)
	}, append([]string{name}, args...))
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
	_, killed := c.ctr("task", "kill", "--signal", "KILL", id) // the task may have ended
	err := Eventually(patience, func() error { _, err := c.ctr("task", "rm", id); return err })
	if err != nil {
		return fmt.Errorf("%w, after %v", err, killed)
	}
	return nil
}
