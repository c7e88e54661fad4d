package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Lifetimes are the rest of an address's valid and preferred lifetimes, or
// [specs.Forever]. The kernel deletes the address at the end of the first.
type Lifetimes struct{ Valid, Preferred specs.Seconds }

// SetDHCPAddress adds an address with its lifetimes to a link, or sets those of an
// address that the link has. Errors are those of [Handle.AddAddress], without
// ErrExists.
func (h *Handle) SetDHCPAddress(index int, p netip.Prefix, l Lifetimes) error {
	// struct ifa_cacheinfo, include/uapi/linux/if_addr.h
	cache := binary.NativeEndian.AppendUint32(nil, uint32(l.Preferred))
	cache = binary.NativeEndian.AppendUint32(cache, uint32(l.Valid))
	cache = append(cache, make([]byte, 8)...)
	parts := append(addressMessage(index, p, true), nl.NewRtAttr(unix.IFA_CACHEINFO, cache))
	return addressError(index, p, h.requestAck(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, parts...))
}

// WaitDHCPAddress is [Handle.SetDHCPAddress] for an ipvlan address that a container which has
// just ended may still hold.
func (h *Handle) WaitDHCPAddress(ctx context.Context, host *Handle, index int, p netip.Prefix, l Lifetimes) error {
	holder, err := waitFree(ctx, ErrAddressInUse, func() error { return h.SetDHCPAddress(index, p, l) },
		func() (string, error) { return h.holderOfAddress(host, index, p.Addr()) })
	return withHolder(err, holder)
}

// DeleteAddress deletes an address of a link. It succeeds if the link does not have
// it, or does not exist.
func (h *Handle) DeleteAddress(index int, p netip.Prefix) error {
	m := nl.NewIfAddrmsg(family(p.Addr()))
	m.Index, m.Prefixlen = uint32(index), uint8(p.Bits())
	err := h.requestAck(unix.RTM_DELADDR, 0, m, nl.NewRtAttr(unix.IFA_LOCAL, p.Addr().AsSlice()))
	if err != nil && !isErrno(err, unix.EADDRNOTAVAIL) && !isErrno(err, unix.ENODEV) {
		return fmt.Errorf("delete address %s of interface %d: %w", p, index, err)
	}
	return nil
}

// SetMTU sets the MTU of a link.
func (h *Handle) SetMTU(index, mtu int) error {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Index = int32(index)
	if err := h.requestAck(unix.RTM_NEWLINK, 0, m, attr32(unix.IFLA_MTU, uint32(mtu))); err != nil {
		return fmt.Errorf("set MTU %d of interface %d: %w", mtu, index, err)
	}
	return nil
}

// PromoteSecondaries lets an IPv4 address stay when an older one of its subnet is
// deleted (promote_secondaries, Documentation/networking/ip-sysctl.rst).
func (n *Namespace) PromoteSecondaries(ifname string) error {
	if err := specs.CheckInterfaceName(ifname); err != nil { // the name becomes part of a path
		return err
	}
	return n.writeSysctls([]sysctl{{"ipv4/conf/" + ifname + "/promote_secondaries", "1"}})
}
