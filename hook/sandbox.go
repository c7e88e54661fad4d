package hook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Sandbox is a container or a pod as a caller of [Hook.Attach] knows it.
type Sandbox struct {
	// ID is the id by which [Hook.Detach] finds the attachments again: the one
	// that the runtime gave the container or the pod.
	ID string

	// NetNS is the path of the network namespace. If it is empty, the namespace
	// is that of the process Pid. If there is none either, it is the one on
	// record of a sandbox that has attachments.
	NetNS string
	Pid   int

	// Names are the annotations by which the engine names the sandbox. Those that
	// berth does not know are left out.
	Names map[string]string

	// Namespace is the Kubernetes namespace, or "" outside of Kubernetes.
	Namespace string

	// Pending, if set, returns the network of the engine's own that the engine is
	// still to set up in the namespace, or "" if there is none. It is called only if
	// nothing is set up there. A default route is then refused.
	Pending func() string

	// Admin is set if an administrator asks, for a container that runs. The policy
	// does not apply; the interface is shared by all that share the namespace; the
	// engine's default route stays unless the selection replaces it; and a second
	// interface on a network is refused.
	Admin bool
}

// ErrUnknownContainer is wrapped if a container is named that has no
// attachment, so that berth cannot know its namespace without a process in it.
var ErrUnknownContainer = errors.New("berth knows no such container")

// maxID bounds a container's id; runtimes name folders by it (NAME_MAX).
const maxID = 255

// checkID holds a container's id to what can be a key and be shown. U+FFFD is
// what a decoder writes for that which is no character, half a surrogate pair
// among it.
func checkID(id string) error {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, unicode.IsControl) || !utf8.ValidString(id) ||
		strings.ContainsRune(id, unicode.ReplacementChar) {
		return specs.Invalid("id", id, "a container's id of 1 to %d bytes in UTF-8, none a control character", maxID)
	}
	return nil
}

// container is a sandbox with its namespace, open.
type container struct {
	ids     []string          // of all that share it; the first is this one
	names   map[string]string // the annotations that name it
	admin   bool
	pending func() string // see [Sandbox.Pending]
	ns      *network.Namespace
	inside  *network.Handle
	cookie  uint64
}

func (c *container) Close() {
	if c.inside != nil {
		c.inside.Close()
	}
	if c.ns != nil {
		c.ns.Close()
	}
}

// open opens the network namespace of a sandbox once, and refuses the host's
// own.
func (h *Hook) open(ctx context.Context, s *Sandbox) (*container, error) {
	c := &container{ids: []string{s.ID}, names: namingAnnotations(s.Names), admin: s.Admin, pending: s.Pending}
	var known []*state.Attachment
	if s.Admin || s.NetNS == "" && s.Pid == 0 {
		var err error
		if known, err = h.recorded(ctx, s.ID); err != nil {
			return nil, err
		}
	}
	if s.Admin && len(known) > 0 {
		c.ids, c.names = known[0].Containers, known[0].Annotations
	}
	var err error
	switch {
	case s.NetNS != "":
		c.ns, err = network.OpenPath(s.NetNS)
	case s.Pid != 0:
		c.ns, err = network.OpenPID(s.Pid)
	case len(known) == 0:
		err = fmt.Errorf("%w; say --pid with a process of it", ErrUnknownContainer)
	default:
		c.ns, err = network.FindNamespace(known[0].Cookie)
	}
	if err != nil {
		return nil, fmt.Errorf("network namespace of container %q: %w", s.ID, err)
	}
	if err := c.look(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// look opens the inside of the namespace, and refuses the host's own.
func (c *container) look() error {
	host, err := network.Current()
	if err != nil {
		return err
	}
	defer host.Close()
	same, err := c.ns.Same(host)
	if err != nil {
		return err
	}
	if same {
		return specs.Invalid("container", c.ids[0], "a network namespace of its own: it shares the host's, where berth adds nothing (start it without host networking)")
	}
	if c.cookie, err = c.ns.Cookie(); err != nil {
		return err
	}
	c.inside, err = c.ns.Open()
	return err
}

// recorded returns the live attachments of a container.
func (h *Hook) recorded(ctx context.Context, id string) (all []*state.Attachment, err error) {
	err = h.Store.View(ctx, func(tx *state.Tx) error {
		all, err = tx.OfContainer(id)
		return err
	})
	return all, err
}
