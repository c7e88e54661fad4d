package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
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
	Loaded  bool   // containers use the image of Load
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

// HasNetavark reports whether podman makes its networks by netavark, and not by CNI.
func HasNetavark() bool { return exists(netavark) }

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
infra_image = "localhost/lab:latest"
stop_timeout = 1
`

// cniPlugins is the directory of Debian's plugins of CNI.
const cniPlugins = `"/usr/lib/cni"`

const cniConf = `
[network]
network_backend = "cni"
cni_plugin_dirs = [` + cniPlugins + `]
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
	conf := strings.Replace(ContainersConf(), cniPlugins, cniPlugins+fmt.Sprintf(", %q", p.plugins()), 1)
	conf += fmt.Sprintf("network_config_dir = %q\n", networks)
	if exists(netavark) {
		conf += fmt.Sprintf("netavark_plugin_dirs = [%q]\n", p.plugins())
	}
	err := firstError(writeEngineNetwork(networks), writeNetavarkNetwork(networks), p.writePlugin(),
		writeFile(filepath.Join(p.dir(), "containers.conf"), conf))
	if err != nil || p.Wrapper.Runtime != "" && !p.Wrapper.Late {
		return err
	}
	hooks, err := p.Host.HooksD()
	return firstError(err, writeFile(filepath.Join(p.dir(), "hooks.d/berth.json"), string(hooks)))
}

// writePlugin writes netavark's plugin for this host's berth.
func (p *Podman) writePlugin() error {
	args := append([]string{filepath.Join(p.Host.Bin, "berth-netavark")}, p.Host.flags()...)
	path := filepath.Join(p.plugins(), "berth")
	if err := writeFile(path, fmt.Sprintf("#!/bin/sh\nexec %s \"$@\"\n", strings.Join(args, " "))); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
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

// plugins returns the directory of this host's own plugins of CNI.
func (p *Podman) plugins() string { return filepath.Join(p.dir(), "plugins") }

// UseCNI makes one of berth's networks one of podman's, by a file of CNI. It returns false
// if this podman makes its networks by netavark, and so has no CNI.
func (p *Podman) UseCNI(network string) (bool, error) {
	if exists(netavark) {
		return false, nil
	}
	return true, p.Host.writeCNI(network, p.plugins(), filepath.Join(p.dir(), "networks"))
}

// NetworkFile returns the file that defines one of podman's own networks.
func (p *Podman) NetworkFile(name string) (string, error) {
	for _, ending := range []string{".json", ".conflist"} {
		if path := filepath.Join(p.dir(), "networks", name+ending); exists(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("podman has no file of network %q", name)
}

// Client runs podman.
func (p *Podman) Client(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	flags, err := p.flags()
	if err != nil {
		return "", err
	}
	cmd := p.Host.Command(ctx, "podman", append(flags, args...)...)
	cmd.Env = append(cmd.Environ(), p.environment())
	return Output(cmd)
}

// Program writes a program that is podman with this host's directories, and
// returns its path.
func (p *Podman) Program() (string, error) {
	flags, err := p.flags()
	if err != nil {
		return "", err
	}
	path := filepath.Join(p.dir(), "podman")
	script := fmt.Sprintf("#!/bin/sh\n%s exec podman %s \"$@\"\n", p.environment(), strings.Join(flags, " "))
	return path, os.WriteFile(path, []byte(script), 0o755)
}

// Load gives podman the image of the root file system.
func (p *Podman) Load() error {
	archive := filepath.Join(p.dir(), "image.tar")
	if err := Image(p.Rootfs, archive); err != nil {
		return err
	}
	_, err := p.Client("load", "--input", archive)
	return err
}

func (p *Podman) environment() string {
	return "CONTAINERS_CONF=" + filepath.Join(p.dir(), "containers.conf")
}

// flags are those before the command.
func (p *Podman) flags() ([]string, error) {
	flags := []string{
		"--storage-driver", "vfs", "--root", filepath.Join(p.dir(), "storage"),
		"--runroot", filepath.Join(p.dir(), "run"), "--tmpdir", filepath.Join(p.dir(), "tmp"),
		"--hooks-dir", filepath.Join(p.dir(), "hooks.d"),
	}
	if p.Wrapper.Runtime != "" {
		program, err := p.Host.Wrapper(p.Wrapper)
		return append(flags, "--runtime", program), err
	}
	if p.Runtime != "" {
		flags = append(flags, "--runtime", p.Runtime)
	}
	return flags, nil
}

// Start implements Engine.
func (p *Podman) Start(c Container) (string, error) { return p.StartWith(c) }

// StartWith starts a container with further flags of podman run.
func (p *Podman) StartWith(c Container, flags ...string) (string, error) {
	options, err := p.options(c)
	if err != nil {
		return "", err
	}
	what := []string{"--rootfs", p.Rootfs}
	if p.Loaded {
		what = []string{ImageName}
	}
	if _, err := p.Client(slices.Concat([]string{"run", "--detach"}, options, flags, what, c.Args)...); err != nil {
		_, _ = p.Client("rm", "--force", c.ID) // podman leaves the container; the caller needs the error of the start
		return "", err
	}
	id, err := p.Client("inspect", "--format", "{{.Id}}", c.ID)
	return strings.TrimSpace(id), err
}

// options are the flags that a container asks for.
func (p *Podman) options(c Container) ([]string, error) {
	quote, err := p.quoting()
	if err != nil {
		return nil, err
	}
	args := []string{"--name", c.ID, "--cap-add", "NET_RAW,NET_ADMIN"}
	pod, inPod := strings.CutPrefix(c.Network, podPrefix)
	switch {
	case inPod:
		args = append(args, "--pod", pod)
	case c.Network == EngineNetwork:
		args = append(args, "--network", engineNetworkName)
	default:
		args = append(args, "--network", cmp.Or(c.Network, "none"))
	}
	if p.Wrapper.Runtime == "crun" || p.Runtime == "crun" {
		args = append(args, "--cgroups", "disabled") // with cgroups podman raises RLIMIT_MEMLOCK, for a BPF program
	}
	if c.UserNS {
		args = append(args, "--uidmap", userNamespace)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		args = append(args, "--annotation", quote(key+"="+c.Annotations[key]))
	}
	return args, nil
}

// Build makes an image of the root file system with an annotation in its manifest.
func (p *Podman) Build(name, annotation string) error {
	file := filepath.Join(p.dir(), "Containerfile")
	if err := writeFile(file, "FROM scratch\nCOPY . /\n"); err != nil {
		return err
	}
	_, err := p.Client("build", "--annotation", annotation, "--tag", name, "--file", file, p.Rootfs)
	return err
}

// RunImage starts a container of an image, without annotations.
func (p *Podman) RunImage(id, image string, args ...string) error {
	_, err := p.Client(append([]string{"run", "--detach", "--name", id, "--network", "none", image}, args...)...)
	return err
}

// quoting returns a function that formats an annotation for this podman's command line.
// Podman 4 parses the flag as a line of comma-separated values (RFC 4180), so a value
// with commas or quotes must be a quoted field. Later versions use the flag unchanged.
func (p *Podman) quoting() (func(string) string, error) {
	help, err := p.Client("run", "--help")
	if !strings.Contains(help, "--annotation strings") {
		return func(s string) string { return s }, err
	}
	return func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }, err
}

// Exec implements Engine.
func (p *Podman) Exec(id, name string, args ...string) (string, error) {
	return p.Client(append([]string{"exec", id, name}, args...)...)
}

// PID implements Engine.
func (p *Podman) PID(id string) (int, error) { return inspectedPID(p.Client, id) }

// Restart implements Engine.
func (p *Podman) Restart(id string) error {
	_, err := p.Client("restart", "--time", "0", id)
	return err
}

// Stop implements Engine.
func (p *Podman) Stop(id string) error {
	_, err := p.Client("rm", "--force", "--time", "0", id)
	return err
}

// NameOf returns the name of a container.
func (p *Podman) NameOf(id string) (string, error) { return inspectedName(p.Client, id) }
