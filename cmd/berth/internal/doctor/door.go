package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/check"
	"berth/engine/install"
	"berth/internal/engineversion"
)

// doorMaker requests a network of berth's that does not exist, by the engine's own networks, and
// returns the engine's output. The trial's ID is the name of the network.
type doorMaker func(ctx context.Context, t *trial) (output, error)

// door is an engine's own networks, as a way to berth.
type door struct {
	request doorMaker
	remedy  string // if the request does not reach berth
}

// unknownNetwork is the part of berth's error that proves that a request arrived.
const unknownNetwork = "there is no such network"

// tryDoor reports whether a network of the engine reaches berth, and whether the engine shows
// berth's errors. Containers need not be on such a network, so a door that is shut is a warning.
func (t *trial) tryDoor(ctx context.Context, e engine) check.Line {
	const name = "networks"
	if l := t.checkDriverVersion(e); l.Check != "" {
		return l
	}
	out, err := e.door.request(ctx, t)
	switch {
	case strings.Contains(out.stderr, unknownNetwork) && strings.Contains(out.stderr, t.id):
		return newLine(e.name, name, check.Pass, "",
			"the engine's own networks can be berth's, and it shows berth's errors")
	case err == nil:
		return newLine(e.name, name, check.Fail, "`berth check`",
			"the engine accepted a network of berth's that does not exist")
	}
	return newLine(e.name, name, check.Warn, e.door.remedy,
		"the engine's own networks cannot be berth's: %s", lastLines(out, err))
}

// checkDriverVersion returns a line on a docker that starts no container on a network with the
// driver berth, or the zero Line.
func (t *trial) checkDriverVersion(e engine) check.Line {
	if e.name != install.Docker {
		return check.Line{}
	}
	v, err := t.askVersion(e)
	if err != nil || v.JoinsNamespaces() {
		return check.Line{}
	}
	return newLine(e.name, "networks", check.Warn, "use annotations or devices, or install docker 28",
		"docker %s starts no container on a network with the driver berth", v.Text)
}

func (t *trial) askVersion(e engine) (engineversion.Version, error) {
	if t.Version != nil {
		return t.Version(t.engineProgram(e.program))
	}
	return install.AskVersion(t.engineProgram(e.program))
}

func requestDocker(ctx context.Context, t *trial) (output, error) {
	docker := t.engineProgram("docker")
	out, err := t.Run(ctx, nil, docker, "network", "create", "--driver", "berth", "--ipam-driver", "berth",
		"--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--opt", "network="+t.id, t.id)
	if err == nil {
		_, _ = t.Run(ctx, nil, docker, "network", "rm", t.id)
	}
	return out, err
}

func requestPodman(ctx context.Context, t *trial) (output, error) {
	podman := t.engineProgram("podman")
	out, err := t.Run(ctx, nil, podman, "network", "create", "--driver", "berth", "--opt", "network="+t.id, t.id)
	if err == nil {
		_, _ = t.Run(ctx, nil, podman, "network", "rm", t.id)
	}
	return out, err
}

// requestNerdctl starts a container on a network of CNI whose file is in a directory of its own. The
// label makes this network nerdctl's default one; else nerdctl would first make another there, and
// fail if the bridge of the host's default network has its subnet.
func requestNerdctl(ctx context.Context, t *trial) (output, error) {
	dir, err := os.MkdirTemp("", "berth-doctor-")
	if err != nil {
		return output{}, err
	}
	defer os.RemoveAll(dir)
	text := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %[1]q, "nerdctlLabels": {"nerdctl/default-network": "true"},
		"plugins": [{"type": "berth-cni", "network": %[1]q}]}`, t.id)
	if err := os.WriteFile(filepath.Join(dir, t.id+".conflist"), []byte(text), 0o644); err != nil {
		return output{}, err
	}
	nerdctl := t.engineProgram("nerdctl")
	out, err := t.Run(ctx, nil, nerdctl, slices.Concat([]string{"--cni-netconfpath", dir, "run", "--rm", "--name", t.id,
		"--network", t.id, "--rootfs", t.rootfs}, containerCommand())...)
	if err != nil {
		_, _ = t.Run(ctx, nil, nerdctl, "--cni-netconfpath", dir, "rm", "--force", t.id)
	}
	return out, err
}
