package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/engine/cdi"
)

// errNoDaemon is returned if an engine's daemon does not answer, errNoProgram if its command line is
// not installed.
var (
	errNoDaemon  = errors.New("its daemon does not answer")
	errNoProgram = errors.New("is not on PATH")
)

// askDaemon runs a command of an engine that fails if its daemon does not answer.
func (t *trial) askDaemon(ctx context.Context, name, command string) error {
	if t.findProgram(name) == "" {
		return fmt.Errorf("%s %w", name, errNoProgram)
	}
	if out, err := t.Run(ctx, nil, t.engineProgram(name), command); err != nil {
		return fmt.Errorf("%w: %s", errNoDaemon, lastLines(out, err))
	}
	return nil
}

// engineProgram returns the command line of an engine.
func (t *trial) engineProgram(name string) string {
	if path := t.findProgram(name); path != "" {
		return path
	}
	return name
}

func (t *trial) runtimePath() string { return filepath.Join(t.Bin, "berth-runtime") }

// runFlags returns the flags of a run: none for a plain container, the device, or the annotation and
// the engine's flags for berth's hook.
func (t *trial) runFlags(by request, more ...string) []string {
	switch by {
	case byAnnotation:
		return append(more, "--annotation", t.key+"=1")
	case byDevice:
		return []string{"--device", cdi.Kind + "=" + t.id}
	}
	return nil
}

// containerCommand returns the command of a container.
func containerCommand() []string { return []string{"/" + trialProgram, "--version"} }

func tryPodman(_ context.Context, t *trial) (startFunc, func(), error) {
	podman := t.engineProgram("podman")
	return func(ctx context.Context, by request) (output, error) {
		args := slices.Concat([]string{"run", "--rm", "--name", t.id, "--network", "none"}, t.runFlags(by),
			[]string{"--rootfs", t.rootfs}, containerCommand())
		out, err := t.Run(ctx, nil, podman, args...)
		if err != nil { // it may have left the container, as it never ran
			_, _ = t.Run(ctx, nil, podman, "rm", "--force", "--ignore", t.id)
		}
		return out, err
	}, nil, nil
}

func tryDocker(ctx context.Context, t *trial) (startFunc, func(), error) {
	docker := t.engineProgram("docker")
	if err := t.askDaemon(ctx, "docker", "version"); err != nil {
		return nil, nil, err
	}
	archive, err := t.rootfsArchive()
	if err != nil {
		return nil, nil, err
	}
	if out, err := t.Run(ctx, archive, docker, "import", "-", t.id); err != nil {
		return nil, nil, fmt.Errorf("create an image: %s", lastLines(out, err))
	}
	clean := func() { _, _ = t.Run(ctx, nil, docker, "rmi", "--force", t.id) }
	return func(ctx context.Context, by request) (output, error) {
		args := slices.Concat([]string{"run", "--rm", "--name", t.id, "--network", "none"},
			t.runFlags(by, "--runtime", "berth"), []string{t.id}, containerCommand())
		out, err := t.Run(ctx, nil, docker, args...)
		if err != nil {
			_, _ = t.Run(ctx, nil, docker, "rm", "--force", t.id)
		}
		return out, err
	}, clean, nil
}

func tryContainerd(ctx context.Context, t *trial) (startFunc, func(), error) {
	ctr := t.engineProgram("ctr")
	if err := t.askDaemon(ctx, "ctr", "version"); err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, by request) (output, error) {
		args, err := t.ctrArgs(by)
		if err != nil {
			return output{}, err
		}
		out, err := t.Run(ctx, nil, ctr, args...)
		if err != nil {
			_, _ = t.Run(ctx, nil, ctr, "container", "rm", t.id)
		}
		return out, err
	}, nil, nil
}

// ctrArgs returns the arguments of ctr. It takes a device only without --config.
func (t *trial) ctrArgs(by request) ([]string, error) {
	args := []string{"run", "--rm", "--null-io"}
	if by == byDevice {
		return slices.Concat(args, t.runFlags(by), []string{"--rootfs", t.rootfs, t.id}, containerCommand()), nil
	}
	if by == byAnnotation {
		args = append(args, "--runc-binary", t.runtimePath())
	}
	path := filepath.Join(t.rootfs, "config.json")
	return append(args, "--config", path, t.id), t.writeConfig(path, by)
}

// writeConfig writes a container's configuration with the fewest possible requirements:
// ctr's own has limits that not every host can set.
func (t *trial) writeConfig(path string, by request) error {
	spec := &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{Args: containerCommand(), Cwd: "/"},
		Root:    &specs.Root{Path: t.rootfs, Readonly: true},
		Mounts:  []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux: &specs.Linux{CgroupsPath: "/" + t.id, Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
			{Type: specs.NetworkNamespace},
		}},
	}
	if by == byAnnotation {
		spec.Annotations = map[string]string{t.key: "1"}
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func tryNerdctl(ctx context.Context, t *trial) (startFunc, func(), error) {
	nerdctl := t.engineProgram("nerdctl")
	if err := t.askDaemon(ctx, "nerdctl", "info"); err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, by request) (output, error) {
		args := slices.Concat([]string{"run", "--rm", "--name", t.id, "--network", "none"},
			t.runFlags(by, "--runtime", t.runtimePath()), []string{"--rootfs", t.rootfs}, containerCommand())
		out, err := t.Run(ctx, nil, nerdctl, args...)
		if err != nil {
			_, _ = t.Run(ctx, nil, nerdctl, "rm", "--force", t.id)
		}
		return out, err
	}, nil, nil
}
