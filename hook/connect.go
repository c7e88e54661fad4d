package hook

import (
	"context"
	"fmt"

	"berth/internal/state"
	"berth/specs"
)

// Connect gives a running container one more interface until the container ends, as an
// administrator asks. pid is a process of the container, or 0 if the namespace is recorded.
// If the container is connected by the same selection already, Connect returns that
// attachment.
func (h *Hook) Connect(ctx context.Context, id string, pid int, s specs.Selection) (*state.Attachment, error) {
	all, err := h.Attach(ctx, Sandbox{ID: id, Pid: pid, Admin: true}, []specs.Selection{s})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// Disconnect takes a running container off a network and returns the names of the
// interfaces that it had there.
func (h *Hook) Disconnect(ctx context.Context, id, networkName string) (interfaces []string, err error) {
	done, err := h.Detach(ctx, id, Which{Network: networkName})
	for _, a := range done {
		interfaces = append(interfaces, a.Interface)
	}
	if err != nil || len(done) > 0 {
		return interfaces, err
	}
	switch known, err := h.recordedAttachments(ctx, id); {
	case err != nil:
		return nil, err
	case len(known) == 0:
		return nil, fmt.Errorf("container %q: %w", id, ErrUnknownContainer)
	}
	return nil, fmt.Errorf("container %s is not on network %q (berth inspect %[1]s)", id, networkName)
}
