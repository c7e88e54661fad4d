package lab

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Docker is a dockerd of the host's own, with berth-runtime as a runtime named
// berth.
type Docker struct {
	Host    *Host
	Rootfs  string
	Wrapper Wrapper
	daemon  *Daemon
}

func (d *Docker) dir() string { return filepath.Join(d.Host.Dir, "docker") }

func (d *Docker) socket() string { return "unix://" + filepath.Join(d.dir(), "socket") }

func (d *Docker) run(args ...string) (string, error) {
	return d.Host.Run("docker", append([]string{"--host", d.socket()}, args...)...)
}

// StartDaemon starts dockerd, waits until it answers, and gives it an image.
func (d *Docker) StartDaemon() error {
	program, err := d.Host.Wrapper(d.Wrapper)
	if err != nil {
		return err
	}
	config := fmt.Sprintf(`{"runtimes": {"berth": {"path": %q}}}`, program)
	if err := writeFile(filepath.Join(d.dir(), "daemon.json"), config); err != nil {
		return err
	}
	d.daemon, err = d.Host.start(filepath.Join(d.dir(), "log"), "dockerd", "--config-file", filepath.Join(d.dir(), "daemon.json"),
		"--host", d.socket(), "--data-root", filepath.Join(d.dir(), "data"), "--exec-root", filepath.Join(d.dir(), "run"),
		"--pidfile", filepath.Join(d.dir(), "pid"), "--storage-driver", "vfs",
		"--bridge", "none", "--iptables=false", "--ip6tables=false")
	if err != nil {
		return err
	}
	archive := filepath.Join(d.dir(), "rootfs.tar")
	if err := d.daemon.ready(func() error { _, err := d.run("version"); return err }); err != nil {
		return err
	}
	if err := command("tar", "-C", d.Rootfs, "-cf", archive, "."); err != nil {
		return err
	}
	_, err = d.run("import", archive, "lab")
	return err
}

// StopDaemon ends dockerd.
func (d *Docker) StopDaemon() error { return d.daemon.Stop() }

// Start implements Engine.
func (d *Docker) Start(c Container) (string, error) {
	network := c.Network
	if network == "" {
		network = "none"
	}
	args := []string{"run", "--detach", "--name", c.ID, "--runtime", "berth", "--network", network, "--cap-add", "NET_ADMIN"}
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		args = append(args, "--annotation", key+"="+c.Annotations[key])
	}
	if _, err := d.run(append(append(args, "lab"), c.Args...)...); err != nil {
		_, _ = d.run("rm", "--force", c.ID) // docker leaves it; the start's error is what counts
		return "", err
	}
	id, err := d.run("inspect", "--format", "{{.Id}}", c.ID)
	return strings.TrimSpace(id), err
}

// Exec implements Engine.
func (d *Docker) Exec(id, name string, args ...string) (string, error) {
	return d.run(append([]string{"exec", id, name}, args...)...)
}

// PID implements Engine.
func (d *Docker) PID(id string) (int, error) { return inspectedPID(d.run, id) }

// Restart implements Engine.
func (d *Docker) Restart(id string) error {
	_, err := d.run("restart", "--time", "1", id)
	return err
}

// Stop implements Engine.
func (d *Docker) Stop(id string) error {
	_, err := d.run("rm", "--force", id)
	return err
}
