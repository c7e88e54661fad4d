package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddressInfo is an address of a link as the kernel describes it.
type AddressInfo struct {
	Index     int // index of the link
	Prefix    netip.Prefix
	Tentative bool // IPv6: the kernel still probes for the address and does not use it
	DADFailed bool // IPv6: another host has the address (RFC 4862 section 5.4.5)
	Permanent bool // false if it has a lifetime, as an address from a router's prefix
}

// AddressesIn returns the addresses of one link in the namespace with an ID, as
// [Handle.LinkIn] finds it. Errors: [ErrNoNamespace], [ErrNoLink].
func (h *Handle) AddressesIn(nsid, index int) ([]AddressInfo, error) {
	fail := func(err error) ([]AddressInfo, error) {
		return nil, fmt.Errorf("list addresses of interface %d in namespace %d: %w", index, nsid, err)
	}
	strict := h
	if !h.strict {
		var err error
		if strict, err = h.openStrict(); err != nil {
			return fail(err)
		}
		defer strict.Close()
	}
	all, err := strict.addressesOf(index, attr32(unix.IFA_TARGET_NETNSID, uint32(nsid)))
	if err != nil {
		return fail(noNamespace(err))
	}
	return all, nil
}

// AddressesAt returns the addresses of one link in the namespace of a strict handle. Errors:
// [ErrNoLink].
func (h *Handle) AddressesAt(index int) ([]AddressInfo, error) {
	all, err := h.addressesOf(index)
	if err != nil {
		return nil, fmt.Errorf("list addresses of interface %d: %w", index, err)
	}
	return all, nil
}

// addressesOf returns the addresses of one link, or all if index is 0. The handle is strict: the
// kernel filters.
func (h *Handle) addressesOf(index int, parts ...nl.NetlinkRequestData) (all []AddressInfo, err error) {
	for _, fam := range []int{unix.AF_INET, unix.AF_INET6} {
		m := nl.NewIfAddrmsg(fam)
		m.Index = uint32(index)
		answers, err := h.requestDump(unix.RTM_GETADDR, unix.RTM_NEWADDR,
			append([]nl.NetlinkRequestData{m}, parts...)...)
		if isErrno(err, unix.ENODEV) {
			return nil, ErrNoLink
		}
		if err != nil {
			return nil, err
		}
		all = append(all, addressInfos(answers, fam)...)
	}
	return all, nil
}

// AddressInfos returns the addresses of all links of the handle's namespace.
func (h *Handle) AddressInfos() ([]AddressInfo, error) {
	answers, err := h.requestDump(unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return addressInfos(answers, unix.AF_UNSPEC), nil
}

// LinkLocal returns the IPv6 link-local address of a link in the handle's namespace, also while
// the kernel probes for it, or the zero Addr if it has none.
func (h *Handle) LinkLocal(index int) (netip.Addr, error) {
	answers, err := h.requestDump(unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_INET6))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the link-local address of interface %d: %w", index, err)
	}
	for _, a := range addressInfos(answers, unix.AF_INET6) {
		if a.Index == index && a.Prefix.Addr().IsLinkLocalUnicast() {
			return a.Prefix.Addr(), nil
		}
	}
	return netip.Addr{}, nil
}

// addressInfos parses the RTM_NEWADDR messages of one family: a kernel without
// IPv6 answers with addresses of all families.
func addressInfos(answers [][]byte, fam int) (all []AddressInfo) {
	for _, b := range answers {
		a, ok := parseAddress(b)
		if !ok || fam != unix.AF_UNSPEC && family(a.prefix.Addr()) != fam {
			continue
		}
		all = append(all, AddressInfo{
			Index: a.index, Prefix: a.prefix,
			Tentative: a.flags&unix.IFA_F_TENTATIVE != 0,
			DADFailed: a.flags&unix.IFA_F_DADFAILED != 0,
			Permanent: a.flags&unix.IFA_F_PERMANENT != 0,
		})
	}
	return all
}

// openStrict returns a strict handle in the same namespace.
func (h *Handle) openStrict() (*Handle, error) {
	fd, err := unix.IoctlRetInt(h.fd(), unix.SIOCGSKNS)
	if err != nil {
		return nil, fmt.Errorf("open namespace of a socket: %w", err)
	}
	n := &Namespace{fd: fd}
	defer n.Close()
	var strict *Handle
	err = n.Do(func() (err error) {
		strict, err = NewStrictHandle()
		return err
	})
	return strict, err
}
