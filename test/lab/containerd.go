package lab

import "path/filepath"

// Containerd is a containerd of the host's own, driven by ctr.
type Containerd struct {
	Host   *Host
	Rootfs string
	daemon *Daemon
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
	if err := writeFile(config, containerdConfig); err != nil {
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
	b := Bundle{ID: ct.ID, Rootfs: c.Rootfs, Args: ct.Args, Annotations: ct.Annotations, Hooks: c.Host.Hooks()}
	dir := filepath.Join(c.dir(), "bundles", b.ID)
	if err := b.Write(dir); err != nil {
		return "", err
	}
	_, err := c.ctr("run", "--detach", "--null-io", "--config", filepath.Join(dir, "config.json"), b.ID)
	return b.ID, err
}

// Exec implements Engine.
func (c *Containerd) Exec(id, name string, args ...string) (string, error) {
	return c.ctr(append([]string{"task", "exec", "--exec-id", unique("exec"), id, name}, args...)...)
}

// Stop implements Engine.
func (c *Containerd) Stop(id string) error {
	if _, err := c.ctr("task", "kill", "--signal", "KILL", id); err != nil {
		return err
	}
	err := Eventually(patience, func() error { _, err := c.ctr("task", "rm", id); return err })
	if err != nil {
		return err
	}
	_, err = c.ctr("container", "rm", id)
	return err
}
