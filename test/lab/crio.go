package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// CRIO is a CRI-O of one host, with crun and conmon.
type CRIO struct {
	Host     *Host
	Rootfs   string
	Settings string // further keys of its table nri, and tables after it
	daemon   *Daemon
}

// crioConfig is CRI-O's configuration. All of its files are in the host's directory.
// AppArmor is off, because it needs a parser that the trees do not have.
const crioConfig = `[crio]
root = "%[1]s/root"
runroot = "%[1]s/run"
storage_driver = "vfs"
log_dir = "%[1]s/pod-logs"
version_file = "%[1]s/version"
clean_shutdown_file = "%[1]s/clean"
[crio.api]
listen = "%[1]s/socket"
stream_address = "127.0.0.1"
stream_port = "0"
[crio.image]
pause_image = "%[2]s"
pause_command = ""
[crio.network]
network_dir = "%[1]s/cni"
plugin_dirs = ["/usr/lib/cni"]
[crio.runtime]
default_runtime = "crun"
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
apparmor_profile = "unconfined"
hooks_dir = ["%[1]s/hooks.d"]
container_exits_dir = "%[1]s/exits"
container_attach_socket_dir = "%[1]s/attach"
namespaces_dir = "%[1]s/namespaces"
[crio.runtime.runtimes.crun]
runtime_path = "%[3]s"
runtime_root = "%[1]s/crun"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"
[crio.nri]
enable_nri = true
nri_listen = "%[1]s/nri.sock"
nri_plugin_dir = "%[1]s/plugins"
nri_plugin_config_dir = "%[1]s/plugins.d"
`

// withoutRights is a crun that needs no CAP_SYS_RESOURCE: it loads no BPF program for
// a cgroup, for which it would raise RLIMIT_MEMLOCK, and lowers no oom_score_adj.
const withoutRights = `#!/bin/sh
for argument; do
	[ "$last" != --bundle ] || sed -i 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj":0/' "$argument/config.json"
	last=$argument
done
exec crun --cgroup-manager=disabled "$@"
`

func (c *CRIO) dir() string { return filepath.Join(c.Host.Dir, "crio") }

func (c *CRIO) machine() *Host { return c.Host }

// Name implements Server.
func (c *CRIO) Name() string { return "crio" }

// ConfigFile implements Server.
func (c *CRIO) ConfigFile() string { return filepath.Join(c.dir(), "crio.conf") }

// PluginDir implements Server.
func (c *CRIO) PluginDir() string { return filepath.Join(c.dir(), "plugins") }

// StartDaemon implements Server. CRI-O has the image of pods from the first start on.
func (c *CRIO) StartDaemon() (err error) {
	if err := c.configure(); err != nil {
		return err
	}
	c.daemon, err = c.Host.start(filepath.Join(c.dir(), "log"), "crio",
		"--config", c.ConfigFile(), "--config-dir", filepath.Join(c.dir(), "conf.d"))
	if err != nil {
		return err
	}
	return c.daemon.ready(c.askNetwork)
}

// askNetwork returns nil if CRI-O serves and has read the pods' network; a kubelet, too, starts
// no pod before. CRI-O 1.34 looks for the network twice a second, and keeps a channel for each
// pod that was asked for before. When it ends, it writes to each of them twice, from two
// goroutines, and the second may wait for ever (internal/config/cnimgr, Shutdown).
func (c *CRIO) askNetwork() error {
	out, err := crictl(c, "info", "--output", "json")
	if err != nil {
		return err
	}
	return networkReady(out)
}

// networkReady returns nil if the output of crictl info tells that pods can have a network.
func networkReady(info string) error {
	var told struct {
		Status struct {
			Conditions []struct {
				Type, Message string
				Status        bool
			}
		}
	}
	if err := json.Unmarshal([]byte(info), &told); err != nil {
		return fmt.Errorf("parse crictl info: %w", err)
	}
	for _, c := range told.Status.Conditions {
		if c.Type == "NetworkReady" && c.Status {
			return nil
		}
	}
	return fmt.Errorf("no network for pods: %+v", told.Status.Conditions)
}

// StopDaemon implements Server.
func (c *CRIO) StopDaemon() error { return c.daemon.Stop() }

// KillDaemon implements Server.
func (c *CRIO) KillDaemon() error { return c.daemon.Kill() }

// configure writes the configuration and loads the image, if there is none yet.
func (c *CRIO) configure() error {
	if exists(c.ConfigFile()) {
		return nil
	}
	for _, dir := range []string{c.PluginDir(), filepath.Join(c.dir(), "conf.d"), filepath.Join(c.dir(), "hooks.d")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	low := filepath.Join(c.dir(), "low-crun")
	config := fmt.Sprintf(crioConfig, c.dir(), ImageName, low) + c.Settings
	return firstError(
		writeFile(c.ConfigFile(), config),
		os.WriteFile(low, []byte(withoutRights), 0o755),
		writePodNetwork(c),
		c.load())
}

// load puts the image into CRI-O's storage by podman, which has the same storage.
// CRI-O itself can only pull images.
func (c *CRIO) load() error {
	archive := filepath.Join(c.dir(), "image.tar")
	if err := Image(c.Rootfs, archive); err != nil {
		return err
	}
	_, err := c.Host.Run("podman", "--storage-driver", "vfs", "--root", filepath.Join(c.dir(), "root"),
		"--runroot", filepath.Join(c.dir(), "run"), "load", "--input", archive)
	return err
}
