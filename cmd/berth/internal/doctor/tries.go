package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// errNoDaemon is of an engine whose daemon does not answer.
var errNoDaemon = errors.New("its daemon does not answer")

// program is the command line of an engine.
func (t *trial) program(name string) string {
	if path := t.find(name); path != "" {
		return path
	}
	return name
}

func (t *trial) wrapper() string { return filepath.Join(t.Bin, "berth-runtime") }

// annotation is the flag that all engines' command lines have for it.
func (t *trial) annotation() []string { return []string{"--annotation", t.key + "=1"} }

func tryPodman(ctx context.Context, t *trial) (string, error) {
	args := append([]string{"run", "--rm", "--name", t.id, "--network", "none"}, t.annotation()...)
	out, err := t.Run(ctx, nil, t.program("podman"), append(args, "--rootfs", t.rootfs, "/"+trialProgram, "--version")...)
	if err != nil { // it may have left the container, as it never ran
		_, _ = t.Run(ctx, nil, t.program("podman"), "rm", "--force", "--ignore", t.id)
	}
	return out, err
}

func tryDocker(ctx context.Context, t *trial) (string, error) {
	docker := t.program("docker")
	if out, err := t.Run(ctx, nil, docker, "version"); err != nil {
		return out, errNoDaemon
	}
	archive, err := t.archive()
	if err != nil {
		return "", err
	}
	if out, err := t.Run(ctx, archive, docker, "import", "-", t.id); err != nil {
		return out, err
	}
	args := append([]string{"run", "--rm", "--name", t.id, "--runtime", "berth", "--network", "none"}, t.annotation()...)
	out, err := t.Run(ctx, nil, docker, append(args, t.id, "/"+trialProgram, "--version")...)
	if err != nil {
		_, _ = t.Run(ctx, nil, docker, "rm", "--force", t.id)
	}
	_, _ = t.Run(ctx, nil, docker, "rmi", "--force", t.id)
	return out, err
}

func tryContainerd(ctx context.Context, t *trial) (string, error) {
	ctr := t.program("ctr")
	if out, err := t.Run(ctx, nil, ctr, "version"); err != nil {
		return out, errNoDaemon
	}
	path := filepath.Join(t.rootfs, "config.json")
	if err := t.writeConfig(path); err != nil {
		return "", err
	}
	out, err := t.Run(ctx, nil, ctr, "run", "--rm", "--null-io", "--runc-binary", t.wrapper(), "--config", path, t.id)
	if err != nil {
		_, _ = t.Run(ctx, nil, ctr, "container", "rm", t.id)
	}
	return out, err
}

// writeConfig writes a container's configuration that asks the host for as
// little as can be: ctr's own has limits that not every host can set.
func (t *trial) writeConfig(path string) error {
	data, err := json.Marshal(&specs.Spec{
		Version:     "1.0.2",
		Process:     &specs.Process{Args: []string{"/" + trialProgram, "--version"}, Cwd: "/"},
		Root:        &specs.Root{Path: t.rootfs, Readonly: true},
		Mounts:      []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Annotations: map[string]string{t.key: "1"},
		Linux: &specs.Linux{CgroupsPath: "/" + t.id, Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace}, {Type: specs.NetworkNamespace},
		}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func tryNerdctl(ctx context.Context, t *trial) (string, error) {
	nerdctl := t.program("nerdctl")
	if out, err := t.Run(ctx, nil, nerdctl, "info"); err != nil {
		return out, errNoDaemon
	}
	args := append([]string{"run", "--rm", "--name", t.id, "--runtime", t.wrapper(), "--network", "none"}, t.annotation()...)
	out, err := t.Run(ctx, nil, nerdctl, append(args, "--rootfs", t.rootfs, "/"+trialProgram, "--version")...)
	if err != nil {
		_, _ = t.Run(ctx, nil, nerdctl, "rm", "--force", t.id)
	}
	return out, err
}
