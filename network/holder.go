package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// When a namespace dies, the kernel takes its interfaces down later, one dying
// namespace after another (cleanup_net in net/core/net_namespace.c). On 6.1 each
// costs it an RCU grace period or more (xfrm_policy_fini): a MAC was busy for a
// second after a hundred containers had ended at once. So the methods Wait... try
// again while what they need may be held by such an interface: until the context
// ends, 10 s at most, and no longer once they see who has it. The host's handle
// is that of the parent's namespace.

// WaitLink is [Handle.CreateLink] for a parent that may be held by a container
// that has just ended: by a passthru interface, or by one of the other driver.
// Its [ErrParentBusy] says who has the parent.
func (h *Handle) WaitLink(ctx context.Context, n *Namespace, l Link) (info LinkInfo, err error) {
	holder, err := waitFree(ctx, ErrParentBusy, func() (err error) {
		info, err = h.CreateLink(n, l)
		return err
	}, func() (string, error) { return h.holderOfParent(l) })
	return info, hasIt(err, holder)
}

// WaitUp is [Handle.SetUp] for a macvlan whose MAC may be that of a container
// that has just ended.
//
// Errors: a [MACHolderError], and those of SetUp.
func (h *Handle) WaitUp(ctx context.Context, host *Handle, index int) error {
	holder, err := waitFree(ctx, ErrMACInUse, func() error { return h.SetUp(index) },
		func() (string, error) { return h.holderOfMAC(host, index) })
	if holder != "" {
		return fmt.Errorf("set interface %d up: %w", index, &MACHolderError{holder})
	}
	return err
}

// WaitAddress is [Handle.AddAddress] for an ipvlan address that may be that of
// a container that has just ended. Its [ErrAddressInUse] says who has it.
func (h *Handle) WaitAddress(ctx context.Context, host *Handle, index int, p netip.Prefix, nodad bool) error {
	holder, err := waitFree(ctx, ErrAddressInUse, func() error { return h.AddAddress(index, p, nodad) },
		func() (string, error) { return h.holderOfAddress(host, index, p.Addr()) })
	return hasIt(err, holder)
}

// MACHolderError is [ErrMACInUse] with who has it.
type MACHolderError struct{ Holder string }

func (e *MACHolderError) Error() string { return fmt.Sprintf("%v: %s has it", ErrMACInUse, e.Holder) }
func (e *MACHolderError) Unwrap() error { return ErrMACInUse }

func hasIt(err error, holder string) error {
	if holder == "" {
		return err
	}
	return fmt.Errorf("%w: %s has it", err, holder)
}

// How long is waited for what nobody is seen to have: ten times what was
// measured, half of what a hook may take. And how long the pause is between two
// looks through all namespaces.
const (
	freeTimeout = 10 * time.Second
	holderPause = 50 * time.Millisecond
)

// waitFree tries until the error is no longer busy, until look says who holds
// what is wanted, or until the time is up. With a holder, the error is busy.
func waitFree(ctx context.Context, busy error, try func() error, look func() (string, error)) (holder string, err error) {
	ctx, cancel := context.WithTimeout(ctx, freeTimeout)
	defer cancel()
	for {
		if err = try(); !errors.Is(err, busy) {
			return "", err
		}
		holder, lookErr := look()
		if lookErr != nil {
			return "", errors.Join(err, lookErr)
		}
		if holder == "" && ctx.Err() != nil {
			holder = "an interface in a namespace without a process, which may be dying,"
		}
		if holder != "" {
			return holder, err
		}
		select {
		case <-ctx.Done(): // and one look more
		case <-time.After(holderPause):
		}
	}
}

// holderOfParent names what keeps a link from being made: the bridge or bond
// that has its parent, or an interface that it cannot be beside.
func (h *Handle) holderOfParent(l Link) (string, error) {
	parent, err := h.LinkByIndex(l.ParentIndex)
	if err != nil {
		return "", err
	}
	if parent.Upper != 0 {
		upper, err := h.LinkByIndex(parent.Upper)
		if err != nil {
			return "", err
		}
		if upper.Kind != "vrf" { // which takes no frames off a port
			return fmt.Sprintf("%s %q", upper.Kind, upper.Name), nil
		}
	}
	return h.holder(l.ParentIndex, func(_ *Handle, o LinkInfo) (bool, error) {
		return l.Use().CheckSharing(Use{o.Driver, o.Mode, o.Flag}, o.Name) != nil, nil
	})
}

// holderOfMAC names the interface that keeps another from going up by having
// its MAC on the same parent, which may be the parent itself.
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
	return host.holder(l.ParentIndex, func(_ *Handle, o LinkInfo) (bool, error) {
		return o.Up && o.MAC == l.MAC && o.Driver == specs.Macvlan, nil
	})
}

// holderOfAddress names the ipvlan interface that has an address on the parent
// of another.
func (h *Handle) holderOfAddress(host *Handle, index int, addr netip.Addr) (string, error) {
	l, err := h.LinkByIndex(index)
	if err != nil {
		return "", err
	}
	return host.holder(l.ParentIndex, func(in *Handle, o LinkInfo) (bool, error) {
		if o.Driver != specs.IPvlan {
			return false, nil
		}
		all, err := in.addresses()
		return slices.ContainsFunc(all, func(a address) bool { return a.index == o.Index && a.prefix.Addr() == addr }), err
	})
}

// holder names an interface on a parent, in a namespace that a process is in,
// that holds what is wanted. It returns "" where there is none.
func (h *Handle) holder(parentIndex int, holds func(in *Handle, l LinkInfo) (bool, error)) (holder string, err error) {
	home, err := h.namespace()
	if err != nil {
		return "", err
	}
	defer home.Close()
	err = EachNamespace(func(pid int, n *Namespace) (bool, error) {
		defer n.Close()
		name, err := n.holderIn(home, parentIndex, holds)
		if name != "" {
			holder = fmt.Sprintf("interface %q in the network namespace of process %d", name, pid)
		}
		return name != "", err
	})
	return holder, err
}

// holderIn returns the name of such an interface in one namespace, on a parent
// in another or this one; "" where there is none.
func (n *Namespace) holderIn(home *Namespace, parentIndex int, holds func(in *Handle, l LinkInfo) (bool, error)) (string, error) {
	h, err := n.Open()
	if err != nil {
		return "", err
	}
	links, err := h.Links()
	if err != nil {
		return "", err
	}
	for _, l := range links {
		if l.Driver == "" || l.ParentIndex != parentIndex {
			continue
		}
		in, err := holds(h, l)
		if in && err == nil {
			in, err = n.hasParentIn(home, l)
		}
		if in || err != nil {
			return l.Name, err
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
