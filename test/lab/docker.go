package lab

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Docker is a dockerd of the host's own, with berth-runtime as a runtime named berth.
type Docker struct {
	Host    *Host
	Rootfs  string
	Wrapper Wrapper
	Options map[string]any // of daemon.json, in addition to the runtime and the directories
	Plain   bool           // containers get docker's own runtime, unless their flags name one
	daemon  *Daemon
}

func (d *Docker) dir() string { return filepath.Join(d.Host.Dir, "docker") }

// Socket is the address by which clients reach dockerd.
func (d *Docker) Socket() string { return "unix://" + filepath.Join(d.dir(), "socket") }

// Client runs docker's command line.
func (d *Docker) Client(args ...string) (string, error) {
	return d.Host.Run("docker", append([]string{"--host", d.Socket()}, args...)...)
}

// ConfigFile is the path of daemon.json.
func (d *Docker) ConfigFile() string { return filepath.Join(d.dir(), "daemon.json") }

// StartDaemon starts dockerd, waits until it answers, and loads an image unless it exists.
// dockerd has no bridge unless the options define one.
func (d *Docker) StartDaemon() error {
	if err := d.configure(); err != nil {
		return err
	}
	daemon, err := d.Host.start(filepath.Join(d.dir(), "log"), "dockerd",
		"--config-file", d.ConfigFile(), "--pidfile", filepath.Join(d.dir(), "pid"))
	if err != nil {
		return err
	}
	d.daemon = daemon
	if err := d.daemon.ready(func() error { _, err := d.Client("version"); return err }); err != nil {
		return err
	}
	if _, err := d.Client("image", "inspect", "lab"); err == nil {
		return nil
	}
	archive := filepath.Join(d.dir(), "rootfs.tar")
	if err := command("tar", "-C", d.Rootfs, "-cf", archive, "."); err != nil {
		return err
	}
	_, err = d.Client("import", "--change", "ENV PATH=/bin", archive, "lab")
	return err
}

// configure writes daemon.json unless it exists; a test may have changed it.
func (d *Docker) configure() error {
	if exists(d.ConfigFile()) {
		return nil
	}
	program, err := d.Host.Wrapper(d.Wrapper)
	if err != nil {
		return err
	}
	config := map[string]any{
		"hosts": []string{d.Socket()}, "data-root": filepath.Join(d.dir(), "data"),
		"exec-root": filepath.Join(d.dir(), "run"),
		"bridge":    "none", "iptables": false, "ip6tables": false,
		"runtimes": map[string]any{"berth": map[string]string{"path": program}},
	}
	maps.Copy(config, d.Options)
	maps.DeleteFunc(config, func(_ string, value any) bool { return value == nil })
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(d.ConfigFile(), string(text))
}

// StopDaemon ends dockerd, and with it its containers, unless the options have
// live-restore.
func (d *Docker) StopDaemon() error { return d.daemon.Stop() }

// KillDaemon ends dockerd by SIGKILL. Its containerd and the containers stay.
func (d *Docker) KillDaemon() error { return d.daemon.Kill() }

// ReloadDaemon makes dockerd read daemon.json again.
func (d *Docker) ReloadDaemon() error { return d.daemon.Reload() }

// Start implements Engine.
func (d *Docker) Start(c Container) (string, error) { return d.StartWith(c) }

// StartWith starts a container with further flags of docker run.
func (d *Docker) StartWith(c Container, flags ...string) (string, error) {
	network := c.Network
	switch network {
	case "":
		network = "none"
	case EngineNetwork:
		network = "bridge"
	}
	args := []string{"run", "--detach", "--name", c.ID, "--network", network, "--cap-add", "NET_ADMIN"}
	if !d.Plain {
		args = append(args, "--runtime", "berth")
	}
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		args = append(args, "--annotation", key+"="+c.Annotations[key])
	}
	args = slices.Concat(args, flags, []string{"lab"}, c.Args)
	if _, err := d.Client(args...); err != nil {
		_, _ = d.Client("rm", "--force", c.ID) // docker leaves it; the error of the start is returned
		return "", err
	}
	id, err := d.Client("inspect", "--format", "{{.Id}}", c.ID)
	return strings.TrimSpace(id), err
}

// Exec implements Engine.
func (d *Docker) Exec(id, name string, args ...string) (string, error) {
	return d.Client(append([]string{"exec", id, name}, args...)...)
}

// PID implements Engine.
func (d *Docker) PID(id string) (int, error) { return inspectedPID(d.Client, id) }

// Restart implements Engine.
func (d *Docker) Restart(id string) error {
	_, err := d.Client("restart", "--time", "1", id)
	return err
}

// Stop implements Engine.
func (d *Docker) Stop(id string) error {
	_, err := d.Client("rm", "--force", id)
	return err
}

// NameOf returns the name of a container.
func (d *Docker) NameOf(id string) (string, error) { return inspectedName(d.Client, id) }
