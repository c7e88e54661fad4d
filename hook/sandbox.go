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

// Sandbox is a container or a pod as a caller of [Hook.Attach] describes it.
type Sandbox struct {
	// ID is the runtime's ID of the container or the pod. [Hook.Detach] finds the
	// attachments by it.
	ID string

	// NetNS is the path of the network namespace. If it is empty, the namespace
	// is that of the process Pid. If Pid is 0 too, it is the recorded namespace
	// of a sandbox that has attachments.
	NetNS string
	Pid   int

	// Names are the annotations by which the engine names the sandbox. Unknown
	// ones are dropped.
	Names map[string]string

	// Namespace is the Kubernetes namespace, or "" outside of Kubernetes.
	Namespace string

	// Hostname is the sandbox's host name if the caller has it. It is sent to a DHCP server
	// if the engine gave the sandbox no name.
	Hostname string

	// Pending, if set, returns the engine's own network that the engine has not
	// set up in the namespace yet, or "" if there is none. It is called only if
	// nothing is set up there. A default route is then refused.
	Pending func() string

	// Door, if set, is the engine's own way of requesting the interfaces. It is
	// recorded with each attachment. Every interface is then a new one: if one of the
	// requested names exists in the namespace, the attachment fails, even if the same
	// selection made it.
	Door *state.Door

	// KeepDefault is set if a default route of the engine stays, unless a selection
	// replaces it. Else a network that sets one too is refused.
	KeepDefault bool

	// EngineDefault is set if the engine itself sets the default route by the gateway of the
	// network. Attach sets none.
	EngineDefault bool

	// Reserved, if set, is the engine's pool of which [Hook.Reserve] has reserved the requested
	// addresses. The policy was applied then, and the attachment takes their leases over.
	Reserved string

	// Admin is set if an administrator asks, for a running container. The policy
	// does not apply; all containers of the namespace share the interface; the
	// engine's default route stays unless the selection replaces it; and a second
	// interface on a network is refused.
	Admin bool
}

// ErrUnknownContainer is wrapped if a container has no attachment, so that berth
// cannot find its namespace without a process in it.
var ErrUnknownContainer = errors.New("berth has no record of this container")

// ErrNamespace is wrapped if the network namespace of a container cannot be used.
var ErrNamespace = errors.New("network namespace")

// maxID bounds a container's ID; runtimes use it as the name of a directory
// (NAME_MAX).
const maxID = 255

// checkID refuses an ID that cannot be a key or cannot be shown. A decoder writes
// U+FFFD for every invalid character, half a surrogate pair included.
func checkID(id string) error {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, unicode.IsControl) || !utf8.ValidString(id) ||
		strings.ContainsRune(id, unicode.ReplacementChar) {
		return specs.Invalid("id", id, "a container's id of 1 to %d bytes in UTF-8, none a control character", maxID)
	}
	return nil
}

// container is a sandbox with its open namespace.
type container struct {
	ids         []string          // of all containers that share the namespace; this one's is first
	names       map[string]string // the annotations that name it
	admin       bool
	keepDefault bool          // see [Sandbox.KeepDefault]
	hostname    string        // see [Sandbox.Hostname]
	door        *state.Door   // see [Sandbox.Door]
	pending     func() string // see [Sandbox.Pending]
	noDefault   bool          // see [Sandbox.EngineDefault]
	reserved    string        // see [Sandbox.Reserved]
	ns          *network.Namespace
	inside      *network.Handle
	cookie      uint64
}

func (c *container) Close() {
	if c.inside != nil {
		c.inside.Close()
	}
	if c.ns != nil {
		c.ns.Close()
	}
}

// openContainer opens the network namespace of a sandbox and refuses the host's own.
func (h *Hook) openContainer(ctx context.Context, s *Sandbox) (*container, error) {
	c := &container{
		ids: []string{s.ID}, names: namingAnnotations(s.Names), admin: s.Admin, keepDefault: s.Admin || s.KeepDefault,
		hostname: s.Hostname, door: s.Door, pending: s.Pending,
		noDefault: s.EngineDefault, reserved: s.Reserved,
	}
	var known []*state.Attachment
	if s.Admin || s.NetNS == "" && s.Pid == 0 {
		var err error
		if known, err = h.recordedAttachments(ctx, s.ID); err != nil {
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
		err = fmt.Errorf("%w; name one of its processes by --pid", ErrUnknownContainer)
	default:
		c.ns, err = network.FindNamespace(known[0].Cookie)
	}
	if err != nil {
		return nil, fmt.Errorf("%w of container %q: %w", ErrNamespace, s.ID, err)
	}
	if err := c.openHandle(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// openHandle opens a netlink handle in the namespace, and refuses the host's own.
func (c *container) openHandle() error {
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
		return fmt.Errorf("container %q is in the host's %w, where berth adds no interfaces; start it without host "+
			"networking", c.ids[0], ErrNamespace)
	}
	if c.cookie, err = c.ns.Cookie(); err != nil {
		return err
	}
	c.inside, err = c.ns.Open()
	return err
}

// recordedAttachments returns the live attachments of a container.
func (h *Hook) recordedAttachments(ctx context.Context, id string) (all []*state.Attachment, err error) {
	err = h.Store.View(ctx, func(tx *state.Tx) error {
		all, err = tx.OfContainer(id)
		return err
	})
	return all, err
}
