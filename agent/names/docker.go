package names

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"berth/internal/state"
	"berth/specs"
)

// docker reads dockerd's file of each container.
type docker struct {
	files
	dir string
}

// Docker returns the engine whose data directory (dockerd's --data-root) is dir. dockerd
// writes a container's file before it starts the container, and need not run.
func Docker(dir string) Enricher { return docker{dir: dir} }

func (d docker) String() string { return "docker at " + d.dir }

// Names implements Enricher.
func (d docker) Names(_ context.Context, id string) (*state.Names, error) {
	if !isID(id) {
		return nil, nil
	}
	var c struct { // daemon/container.Container of moby
		Name   string
		Config struct {
			Image  string
			Labels map[string]string
		}
	}
	found, err := d.readContainer(id, &c)
	if err != nil {
		return nil, fmt.Errorf("read container %q of docker: %w", id, err)
	}
	if !found {
		return nil, nil
	}
	n := kubernetesNames(c.Config.Labels)
	n.Name = strings.TrimPrefix(c.Name, "/")
	n.Engine, n.Image, n.Labels = specs.EngineDocker, c.Config.Image, userLabels(c.Config.Labels)
	return &n, nil
}

// readContainer decodes the file of a container, and reports whether it exists. With userns-remap,
// dockerd keeps its files in a subdirectory named after the first user and group of the
// namespace: UID.GID.
func (d docker) readContainer(id string, into any) (bool, error) {
	below, err := filepath.Glob(filepath.Join(d.dir, "[0-9]*.[0-9]*"))
	if err != nil {
		return false, err
	}
	for _, dir := range append([]string{d.dir}, below...) {
		found, err := readJSON(filepath.Join(dir, "containers", id, "config.v2.json"), into)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}
