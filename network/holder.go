package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// WaitUp is [Handle.SetUp] for a macvlan whose MAC may be that of a container
// that has just ended. When a namespace dies, the kernel takes its interfaces
// down later, one dying namespace after another (cleanup_net in
// net/core/net_namespace.c). On 6.1 each costs it an RCU grace period or more
// (xfrm_policy_fini): a MAC was busy for a second after a hundred containers had
// ended at once. So it waits until the context ends, 10 s at most, and no longer
// once it sees who has the MAC. The host's handle is that of the parent's
// namespace.
//
// Errors: a [MACHolderError], and those of SetUp.
func (h *Handle) WaitUp(ctx context.Context, host *Handle, index int) error {
	ctx, cancel := context.WithTimeout(ctx, macTimeout)
	defer cancel()
	for {
		err := h.SetUp(index)
		if !errors.Is(err, ErrMACInUse) {
			return err
		}
		holder, lookErr := h.holderOfMAC(host, index)
		if lookErr != nil {
			return errors.Join(err, lookErr)
		}
		if holder == "" && ctx.Err() != nil {
			holder = "an interface in a namespace without a process, which may be dying,"
		}
		if holder != "" {
			return fmt.Errorf("set interface %d up: %w", index, &MACHolderError{holder})
		}
		select {
		case <-ctx.Done(): // and one look more
		case <-time.After(holderPause):
		}
	}
}

// MACHolderError is [ErrMACInUse] with who has it.
type MACHolderError struct{ Holder string }

func (e *MACHolderError) Error() string { return fmt.Sprintf("%v: %s has it", ErrMACInUse, e.Holder) }
func (e *MACHolderError) Unwrap() error { return ErrMACInUse }

// How long [Handle.WaitUp] waits for a MAC that nobody is seen to have: ten
// times what was measured, half of what a hook may take. And how long it pauses
// between two looks through all namespaces.
const (
	macTimeout  = 10 * time.Second
	holderPause = 50 * time.Millisecond
)

// holderOfMAC names the interface that keeps another from going up by having
// its MAC on the same parent: the parent itself or one in a namespace that a
// process is in. It returns "" where there is none.
func (h *Handle) holderOfMAC(host *Handle, index int) (string, error) {
	l, err := h.LinkByIndex(index)
	if err != nil {
		return "", err
	}
	parent, err := host.LinkByIndex(l.ParentIndex)
	if err != nil {
		return "", err
	}
	if parent.MAC == l.MAC {
		return fmt.Sprintf("the parent %q itself", parent.Name), nil
	}
	home, err := host.namespace()
	if err != nil {
		return "", err
	}
	defer home.Close()
	holder := ""
	err = EachNamespace(func(pid int, n *Namespace) (bool, error) {
		defer n.Close()
		name, err := n.upWithMAC(home, l.ParentIndex, l.MAC)
		if name != "" {
			holder = fmt.Sprintf("interface %q in the network namespace of process %d", name, pid)
		}
		return name != "", err
	})
	return holder, err
}

// upWithMAC returns the name of a macvlan that is up and has a MAC, on a parent
// in another namespace or this one; "" where there is none.
func (n *Namespace) upWithMAC(home *Namespace, parentIndex int, mac specs.MAC) (string, error) {
	h, err := n.Open()
	if err != nil {
		return "", err
	}
	for _, kind := range []string{"macvlan", "macvtap"} {
		links, err := h.links(kind)
		if err != nil {
			return "", err
		}
		for _, l := range links {
			if !l.Up || l.MAC != mac || l.ParentIndex != parentIndex {
				continue
			}
			if in, err := n.hasParentIn(home, l); in || err != nil {
				return l.Name, err
			}
		}
	}
	return "", nil
}

// hasParentIn reports whether the parent of a link is in a namespace.
func (n *Namespace) hasParentIn(home *Namespace, l LinkInfo) (bool, error) {
	if l.ParentNSID < 0 {
		return n.Same(home)
	}
	h, err := n.Open()
	if err != nil {
		return false, err
	}
	id, err := h.nsid(home)
	return id == l.ParentNSID, err
}

// namespace opens the namespace of the handle (SIOCGSKNS in net/socket.c).
func (h *Handle) namespace() (*Namespace, error) {
	fd, err := unix.IoctlRetInt(h.fd(), unix.SIOCGSKNS)
	if err != nil {
		return nil, fmt.Errorf("open the network namespace of a socket: %w", err)
	}
	return &Namespace{fd: fd}, nil
}
