package names

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"berth/internal/state"
	"berth/specs"
)

// storage reads the container lists of containers/storage, which podman and CRI-O share.
type storage struct {
	files
	dir string

	mu    sync.Mutex
	lists map[string]storageList // by path
}

// Podman returns the engines whose storage (podman's --root) is dir. Its lists have no
// labels: podman keeps them in its database.
func Podman(dir string) Enricher { return &storage{dir: dir, lists: make(map[string]storageList)} }

func (s *storage) String() string { return "podman at " + s.dir }

// storageList is the last read content of one file of the storage.
type storageList struct {
	modified time.Time
	size     int64
	names    map[string]*state.Names
}

// Names implements Enricher.
func (s *storage) Names(_ context.Context, id string) (*state.Names, error) {
	if !isID(id) {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Each storage driver has a directory; containers of podman run --rm may be in a
	// separate list.
	paths, _ := filepath.Glob(filepath.Join(s.dir, "*-containers", "*containers.json"))
	for _, path := range paths {
		list, err := s.readList(path)
		if err != nil {
			return nil, fmt.Errorf("read the containers of podman: %w", err)
		}
		if n := list.names[id]; n != nil {
			return n, nil
		}
	}
	return nil, nil
}

func (s *storage) readList(path string) (storageList, error) {
	info, err := os.Stat(path)
	if err != nil {
		return storageList{}, err
	}
	old := s.lists[path]
	if old.modified.Equal(info.ModTime()) && old.size == info.Size() {
		return old, nil
	}
	var stored []struct { // store.Container of containers/storage
		ID       string
		Names    []string
		Metadata string
	}
	if _, err := readJSON(path, &stored); err != nil {
		return storageList{}, err
	}
	list := storageList{info.ModTime(), info.Size(), make(map[string]*state.Names, len(stored))}
	for _, c := range stored {
		list.names[c.ID] = storageNames(c.Names, c.Metadata)
	}
	s.lists[path] = list
	return list, nil
}

// storageNames returns the names in the metadata that podman and CRI-O store
// (libpod/storage.go, internal/storage/runtime.go). It ignores other programs' metadata.
func storageNames(names []string, metadata string) *state.Names {
	var stored struct {
		ImageName     string `json:"image-name"`
		Name          string `json:"name"`
		PodName       string `json:"pod-name"`
		Namespace     string `json:"namespace"`
		ContainerName string `json:"metadata-name"`
	}
	_ = json.Unmarshal([]byte(metadata), &stored)
	n := &state.Names{Engine: specs.EnginePodman, Name: stored.Name, Image: stored.ImageName}
	if stored.PodName != "" { // CRI-O's own name is k8s_NAME_POD_…
		n.Engine, n.Name = specs.EngineCRIO, stored.ContainerName
		n.Pod, n.Namespace = crioPod(stored.PodName, stored.Namespace)
	} else if len(names) > 0 { // the name after podman rename, which does not change the metadata
		n.Name = names[0]
	}
	return n
}

// crioPod returns the names of a pod from CRI-O's name of its sandbox, which is
// k8s_POD_NAMESPACE_UID_ATTEMPT (internal/lib/sandbox). Names of Kubernetes have no
// underscore.
func crioPod(sandbox, namespace string) (pod, inNamespace string) {
	parts := strings.Split(sandbox, "_")
	if len(parts) != 5 || parts[0] != "k8s" {
		return sandbox, namespace
	}
	return parts[1], parts[2]
}
