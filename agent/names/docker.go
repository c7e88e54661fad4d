package names

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"berth/internal/state"
)

// docker reads what dockerd keeps of each container.
type docker struct {
	files
	dir string
}

// Docker returns the engine whose data directory (dockerd's --data-root) is
// dir. dockerd writes a container's file before it has it started, and need
// not run.
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
	found, err := readJSON(filepath.Join(d.dir, "containers", id, "config.v2.json"), &c)
	if err != nil {
		return nil, fmt.Errorf("docker's names: %w", err)
	}
	if !found {
		return nil, nil
	}
	n := kubernetesNames(c.Config.Labels)
	n.Name = strings.TrimPrefix(c.Name, "/")
	n.Image, n.Labels = c.Config.Image, userLabels(c.Config.Labels)
	return &n, nil
}
