package state

import (
	"errors"
	"fmt"

	"berth/specs"
)

// Names are what an engine calls a container.
type Names struct {
	Name      string            `json:",omitempty"`
	Image     string            `json:",omitempty"`
	Pod       string            `json:",omitempty"`
	Namespace string            `json:",omitempty"` // Kubernetes'
	Labels    map[string]string `json:",omitempty"` // the user's, bounded by whoever sets them
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
