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

// After a namespace ends, the kernel deletes its interfaces later, one namespace
// after another (cleanup_net in net/core/net_namespace.c). On 6.1 each takes an RCU
// grace period or more (xfrm_policy_fini): a MAC stayed busy for a second after a
// hundred containers had ended at once. So the methods Wait... retry while such an
// interface may hold the resource: until the context ends, at most 10 s, and only
// until they find a holder in a live namespace. The host's handle is that of the
// parent's namespace.

// WaitLink is [Handle.CreateLink] for a parent that a container which has just ended
// may still hold, by a passthru interface or one of the other driver. Its
// [ErrParentBusy] names the holder of the parent.
func (h *Handle) WaitLink(ctx context.Context, n *Namespace, l Link) (info LinkInfo, err error) {
	holder, err := waitFree(ctx, ErrParentBusy, func() (err error) {
		info, err = h.CreateLink(n, l)
		return err
	}, func() (string, error) { return h.holderOfParent(l) })
	return info, withHolder(err, holder)
}

// WaitUp is [Handle.SetUp] for a macvlan whose MAC a container that has just ended
// may still hold.
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

// WaitAddress is [Handle.AddAddress] for an ipvlan address that a container which has
// just ended may still hold. Its [ErrAddressInUse] names the holder.
func (h *Handle) WaitAddress(ctx context.Context, host *Handle, index int, p netip.Prefix, nodad bool) error {
	holder, err := waitFree(ctx, ErrAddressInUse, func() error { return h.AddAddress(index, p, nodad) },
		func() (string, error) { return h.holderOfAddress(host, index, p.Addr()) })
	return withHolder(err, holder)
}

// MACHolderError is [ErrMACInUse] with the holder of the MAC.
type MACHolderError struct{ Holder string }

func (e *MACHolderError) Error() string { return fmt.Sprintf("%v by %s", ErrMACInUse, e.Holder) }
func (e *MACHolderError) Unwrap() error { return ErrMACInUse }

func withHolder(err error, holder string) error {
	if holder == "" {
		return err
	}
	return fmt.Errorf("%w: it is held by %s", err, holder)
}

// freeTimeout bounds the wait for a resource whose holder cannot be found: ten times
// the longest delay measured, half of a hook's time. holderPause is the interval
// between scans of all namespaces.
const (
	freeTimeout = 10 * time.Second
	holderPause = 50 * time.Millisecond
)

// waitFree retries while try returns busy. It stops when look returns a holder, or
// after freeTimeout; both return the error busy with a holder.
func waitFree(ctx context.Context, busy error, try func() error,
	look func() (string, error)) (holder string, err error) {
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
			holder = "an interface in a namespace without a process, which may be ending"
		}
		if holder != "" {
			return holder, err
		}
		select {
		case <-ctx.Done(): // one last attempt follows
		case <-time.After(holderPause):
		}
	}
}

// holderOfParent returns the interface that keeps a link from being made: the bridge
// or bond that has its parent, or an interface that cannot share the parent with it.
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
		if upper.Kind != "vrf" { // a VRF takes no frames from a port
			return fmt.Sprintf("%s %q", upper.Kind, upper.Name), nil
		}
	}
	return h.holderOn(l.ParentIndex, func(_ *Handle, o LinkInfo) (bool, error) {
		return l.Use().CheckSharing(Use{o.Driver, o.Mode, o.Flag}, o.Name) != nil, nil
	})
}

// holderOfMAC returns the interface that keeps another from going up because it has
// its MAC on the same parent. It may be the parent itself.
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
	return host.holderOn(l.ParentIndex, func(_ *Handle, o LinkInfo) (bool, error) {
		return o.Up && o.MAC == l.MAC && o.Driver == specs.Macvlan, nil
	})
}

// holderOfAddress returns the ipvlan interface that already has an address on the
// parent of another.
func (h *Handle) holderOfAddress(host *Handle, index int, addr netip.Addr) (string, error) {
	l, err := h.LinkByIndex(index)
	if err != nil {
		return "", err
	}
	return host.holderOn(l.ParentIndex, func(in *Handle, o LinkInfo) (bool, error) {
		if o.Driver != specs.IPvlan {
			return false, nil
		}
		all, err := in.dumpAddresses()
		return slices.ContainsFunc(all, func(a address) bool { return a.index == o.Index && a.prefix.Addr() == addr }), err
	})
}

// holderOn returns an interface on a parent for which holds returns true, in any
// namespace that has a process, or "" if there is none.
func (h *Handle) holderOn(parentIndex int,
	holds func(in *Handle, l LinkInfo) (bool, error)) (holder string, err error) {
	home, err := h.Namespace()
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

// holderIn returns the name of such an interface in one namespace, or "" if there is
// none. Its parent is in the namespace home, which may be the same.
func (n *Namespace) holderIn(home *Namespace, parentIndex int,
	holds func(in *Handle, l LinkInfo) (bool, error)) (string, error) {
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

// hasParentIn reports whether the parent of a link is in the namespace home.
func (n *Namespace) hasParentIn(home *Namespace, l LinkInfo) (bool, error) {
	if l.ParentNSID < 0 {
		return n.Same(home)
	}
	h, err := n.Open()
	if err != nil {
		return false, err
	}
	id, err := h.nsidOfNamespace(home)
	return id == l.ParentNSID, err
}

// Namespace opens the handle's network namespace: that of its socket (SIOCGSKNS in net/socket.c).
func (h *Handle) Namespace() (*Namespace, error) {
	fd, err := unix.IoctlRetInt(h.fd(), unix.SIOCGSKNS)
	if err != nil {
		return nil, fmt.Errorf("open the network namespace of a socket: %w", err)
	}
	return &Namespace{fd: fd}, nil
}
