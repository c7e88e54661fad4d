package state

import (
	"errors"
	"fmt"
	"slices"

	"berth/specs"
)

// Names are an engine's names of a container and of those that share its namespace.
type Names struct {
	Of string `json:",omitempty"` // the ID in the request to the engine

	Engine    string            `json:",omitempty"` // which gave the names: specs.EngineDocker or another
	Name      string            `json:",omitempty"`
	Image     string            `json:",omitempty"`
	Pod       string            `json:",omitempty"`
	Namespace string            `json:",omitempty"` // Kubernetes'
	Labels    map[string]string `json:",omitempty"` // the user's; the writer bounds them

	Sharers map[string]string `json:",omitempty"` // names of the other containers in the namespace, by ID
}

// Unnamed reports whether the engine's names of any container that shares the
// attachment are still missing.
func (a *Attachment) Unnamed() bool {
	if a.Engine == nil || len(a.Containers) == 0 || a.Engine.Of != a.Containers[0] {
		return true
	}
	return slices.ContainsFunc(a.Containers[1:], func(id string) bool {
		_, asked := a.Engine.Sharers[id]
		return !asked
	})
}

// Leave removes a container from those that share the attachment. If it was the
// first, whose names the attachment has, the names of the next one replace them.
func (a *Attachment) Leave(id string) {
	first := a.Containers[0]
	a.Containers = slices.DeleteFunc(a.Containers, func(other string) bool { return other == id })
	if len(a.Containers) == 0 || a.Containers[0] == first {
		return
	}
	a.Annotations = nil // of the removed container
	if a.Engine != nil {
		a.Engine = &Names{Name: a.Engine.Sharers[a.Containers[0]], Sharers: a.Engine.Sharers}
	}
}

// SetEngineNetwork stores the network of an observed interface by its program's name. It skips
// one that is deleted or has ended.
func (tx *Tx) SetEngineNetwork(seen *Attachment, network specs.EngineNetwork) error {
	now, err := tx.Current(seen)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store the network of an observed interface: %w", err)
	}
	now.EngineNetwork = &network
	return tx.Put(now)
}

// SetNames stores the engine's names of a container in its attachment, so that they
// are known after the container's end too. It skips an attachment that is deleted, or
// attaching and so its maker's.
func (tx *Tx) SetNames(seen *Attachment, names *Names) error {
	now, err := tx.Current(seen)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the names of containers: %w", err)
	}
	if now.Phase == specs.PhaseAttaching {
		return nil
	}
	now.Engine = names
	return tx.Put(now)
}
