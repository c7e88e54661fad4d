package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Addresses returns all addresses of the handle's namespace.
func (h *Handle) Addresses() ([]netip.Addr, error) {
	all, err := h.dumpAddresses()
	var addrs []netip.Addr
	for _, a := range all {
		addrs = append(addrs, a.prefix.Addr())
	}
	return addrs, err
}

// address is an address of a link as the kernel describes it.
type address struct {
	index  int // index of the link
	prefix netip.Prefix
	flags  uint32 // IFA_F_*
}

func (h *Handle) dumpAddresses() ([]address, error) {
	answers, err := h.requestDump(unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []address
	for _, b := range answers {
		if a, ok := parseAddress(b); ok {
			all = append(all, a)
		}
	}
	return all, nil
}

// AddAddress adds an address to a link. nodad skips the kernel's duplicate
// address detection of IPv6, so that the address is usable at once. Errors:
// [ErrExists], [ErrAddressInUse] (ipvlan), [ErrNoLink].
func (h *Handle) AddAddress(index int, p netip.Prefix, nodad bool) error {
	err := h.requestAck(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, addressMessage(index, p, nodad)...)
	return addressError(index, p, err)
}

// addressMessage returns the parts of an RTM_NEWADDR message.
func addressMessage(index int, p netip.Prefix, nodad bool) []nl.NetlinkRequestData {
	m := nl.NewIfAddrmsg(family(p.Addr()))
	m.Index, m.Prefixlen = uint32(index), uint8(p.Bits())
	raw := p.Addr().AsSlice()
	parts := []nl.NetlinkRequestData{m, nl.NewRtAttr(unix.IFA_LOCAL, raw), nl.NewRtAttr(unix.IFA_ADDRESS, raw)}
	if p.Addr().Is4() && p.Bits() < 31 { // a /31 has no broadcast address (RFC 3021)
		parts = append(parts, nl.NewRtAttr(unix.IFA_BROADCAST, specs.LastAddr(p).AsSlice()))
	}
	if nodad && p.Addr().Is6() {
		parts = append(parts, attr32(unix.IFA_FLAGS, unix.IFA_F_NODAD))
	}
	return parts
}

// addressError explains the kernel's refusal of an address.
func addressError(index int, p netip.Prefix, err error) error {
	switch {
	case isErrno(err, unix.EEXIST):
		err = ErrExists
	case isErrno(err, unix.EADDRINUSE):
		err = fmt.Errorf("%w: %w", ErrAddressInUse, err)
	case isErrno(err, unix.ENODEV):
		err = ErrNoLink
	}
	if err != nil {
		return fmt.Errorf("add address %s to interface %d: %w", p, index, err)
	}
	return nil
}

// parseAddress parses the payload of an RTM_NEWADDR message. It returns false if
// the address is not an IP address.
func parseAddress(b []byte) (a address, ok bool) {
	if len(b) < unix.SizeofIfAddrmsg {
		return a, false
	}
	a.index, a.flags = int(binary.NativeEndian.Uint32(b[4:])), uint32(b[2])
	var far, own netip.Addr
	for kind, v := range attributes(b[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_ADDRESS: // on a point-to-point link, the peer's address
			far, _ = netip.AddrFromSlice(v)
		case unix.IFA_LOCAL:
			own, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			a.flags = uint32(parseNumber(v))
		}
	}
	if !own.IsValid() {
		own = far
	}
	a.prefix = netip.PrefixFrom(own, int(b[1]))
	return a, a.prefix.IsValid()
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
