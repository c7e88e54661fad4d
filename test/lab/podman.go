package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Podman is podman with runc, and with its own hooks.d directory, storage and
// configuration. With a wrapper it uses berth-runtime, and a hooks.d file only if the
// wrapper attaches late.
type Podman struct {
	Host    *Host
	Rootfs  string
	Wrapper Wrapper
	Runtime string // "" for runc
}

// ContainersConf returns the configuration that podman needs if cgroups are mixed and
// limits cannot be raised. Its locks are files, because locks in shared memory are
// shared by all podmans of a machine. Its last table is that of the network.
func ContainersConf() string {
	if exists(netavark) {
		return containersConf + netavarkConf
	}
	return containersConf + cniConf
}

// netavark is the program with which podman makes networks from version 5 on.
const netavark = "/usr/lib/podman/netavark"

const containersConf = `[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime_supports_json = ["crun", "runc", "berth-crun", "berth-runc", "berth-crun-late", "berth-runc-late"]
runtime_supports_nocgroup = ["crun", "berth-crun", "berth-crun-late"]
`

const cniConf = `
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
`

const netavarkConf = `
[network]
network_backend = "netavark"
firewall_driver = "none"
`

func (p *Podman) dir() string { return filepath.Join(p.Host.Dir, "podman") }

// Setup writes containers.conf, and the hooks.d file for this host's berth.
func (p *Podman) Setup() error {
	networks := filepath.Join(p.dir(), "networks")
	err := firstError(writeEngineNetwork(networks), writeNetavarkNetwork(networks),
		writeFile(filepath.Join(p.dir(), "containers.conf"), ContainersConf()+fmt.Sprintf("network_config_dir = %q\n", networks)))
	if err != nil || p.Wrapper.Runtime != "" && !p.Wrapper.Late {
		return err
	}
	hooks, err := p.Host.HooksD()
	return firstError(err, writeFile(filepath.Join(p.dir(), "hooks.d/berth.json"), string(hooks)))
}

// HooksD returns a hooks.d file (oci-hooks(5)) for this host's berth. Any annotation of
// berth triggers it, so that a misspelt one is an error too. Both stages have the same
// arguments: the state's status distinguishes them.
func (h *Host) HooksD() ([]byte, error) {
	hook := h.Hook("")
	return json.MarshalIndent(map[string]any{
		"version": "1.0.0",
		"hook":    hook,
		"when":    map[string]any{"annotations": map[string]string{"^berth/": ".*"}},
		"stages":  []string{"createRuntime", "poststop"},
	}, "", "\t")
}

func (p *Podman) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	flags := []string{
		"--storage-driver", "vfs", "--root", filepath.Join(p.dir(), "storage"),
		"--runroot", filepath.Join(p.dir(), "run"), "--tmpdir", filepath.Join(p.dir(), "tmp"),
		"--hooks-dir", filepath.Join(p.dir(), "hooks.d"),
	}
	if p.Wrapper.Runtime != "" {
		program, err := p.Host.Wrapper(p.Wrapper)
		if err != nil {
			return "", err
		}
		flags = append(flags, "--runtime", program)
	} else if p.Runtime != "" {
		flags = append(flags, "--runtime", p.Runtime)
	}
	cmd := p.Host.Command(ctx, "podman", append(flags, args...)...)
	cmd.Env = append(cmd.Environ(), "CONTAINERS_CONF="+filepath.Join(p.dir(), "containers.conf"))
	return Output(cmd)
}

// Start implements Engine.
func (p *Podman) Start(c Container) (string, error) {
	quote, err := p.quoting()
	if err != nil {
		return "", err
	}
	network := c.Network
	switch network {
	case "":
		network = "none"
	case EngineNetwork:
		network = engineNetworkName
	}
	args := []string{"run", "--detach", "--name", c.ID, "--network", network, "--cap-add", "NET_RAW,NET_ADMIN"}
	if p.Wrapper.Runtime == "crun" || p.Runtime == "crun" {
		args = append(args, "--cgroups", "disabled") // with cgroups podman raises RLIMIT_MEMLOCK, for a BPF program
	}
	if c.UserNS {
		args = append(args, "--uidmap", userNamespace)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		args = append(args, "--annotation", quote(key+"="+c.Annotations[key]))
	}
	if _, err := p.run(append(append(args, "--rootfs", p.Rootfs), c.Args...)...); err != nil {
		_, _ = p.run("rm", "--force", c.ID) // podman leaves it; the error of the start is returned
		return "", err
	}
	id, err := p.run("inspect", "--format", "{{.Id}}", c.ID)
	return strings.TrimSpace(id), err
}

// Build makes an image of the root file system with an annotation in its manifest.
func (p *Podman) Build(name, annotation string) error {
	file := filepath.Join(p.dir(), "Containerfile")
	if err := writeFile(file, "FROM scratch\nCOPY . /\n"); err != nil {
		return err
	}
	_, err := p.run("build", "--annotation", annotation, "--tag", name, "--file", file, p.Rootfs)
	return err
}

// RunImage starts a container of an image, without annotations.
func (p *Podman) RunImage(id, image string, args ...string) error {
	_, err := p.run(append([]string{"run", "--detach", "--name", id, "--network", "none", image}, args...)...)
	return err
}

// quoting returns a function that formats an annotation for this podman's command line.
// Podman 4 parses the flag as a line of comma-separated values (RFC 4180), so a value
// with commas or quotes must be a quoted field. Later versions use the flag unchanged.
func (p *Podman) quoting() (func(string) string, error) {
	help, err := p.run("run", "--help")
	if !strings.Contains(help, "--annotation strings") {
		return func(s string) string { return s }, err
	}
	return func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }, err
}

// Exec implements Engine.
func (p *Podman) Exec(id, name string, args ...string) (string, error) {
	return p.run(append([]string{"exec", id, name}, args...)...)
}

// PID implements Engine.
func (p *Podman) PID(id string) (int, error) { return inspectedPID(p.run, id) }

// Restart implements Engine.
func (p *Podman) Restart(id string) error {
	_, err := p.run("restart", "--time", "0", id)
	return err
}

// Stop implements Engine.
func (p *Podman) Stop(id string) error {
	_, err := p.run("rm", "--force", "--time", "0", id)
	return err
}
