package state

import (
	"errors"
	"fmt"
	"slices"

	"berth/specs"
)

// Names are what an engine calls a container, and those that share its namespace.
type Names struct {
	Of string `json:",omitempty"` // the id that the engine was asked for

	Name      string            `json:",omitempty"`
	Image     string            `json:",omitempty"`
	Pod       string            `json:",omitempty"`
	Namespace string            `json:",omitempty"` // Kubernetes'
	Labels    map[string]string `json:",omitempty"` // the user's, bounded by whoever sets them

	Sharers map[string]string `json:",omitempty"` // ids of further containers in the namespace, with their names
}

// Unnamed reports whether the engine was not asked yet for one of the containers
// that share the attachment.
func (a *Attachment) Unnamed() bool {
	if a.Engine == nil || len(a.Containers) == 0 || a.Engine.Of != a.Containers[0] {
		return true
	}
	return slices.ContainsFunc(a.Containers[1:], func(id string) bool {
		_, asked := a.Engine.Sharers[id]
		return !asked
	})
}

// Leave takes a container out of those that share the attachment. If it was the
// first, whose names the attachment has, the next one's take their place.
func (a *Attachment) Leave(id string) {
	first := a.Containers[0]
	a.Containers = slices.DeleteFunc(a.Containers, func(other string) bool { return other == id })
	if len(a.Containers) == 0 || a.Containers[0] == first {
		return
	}
	a.Annotations = nil // of the one that left
	if a.Engine != nil {
		a.Engine = &Names{Name: a.Engine.Sharers[a.Containers[0]], Sharers: a.Engine.Sharers}
	}
}

// SetNames keeps what the engine calls a container beside an attachment, so
// that it is known after the container's end too. An attachment that is gone,
// or in the making and so its maker's, is left alone.
func (tx *Tx) SetNames(seen *Attachment, names *Names) error {
	now, err := tx.Now(seen)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("names: %w", err)
	}
	if now.Phase == specs.PhaseAttaching {
		return nil
	}
	now.Engine = names
	return tx.Put(now)
}
