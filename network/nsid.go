package network

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of RTM_NEWNSID (include/uapi/linux/net_namespace.h).
const (
	netnsaNSID = 1
	netnsaFD   = 3
)

// AssignNSID returns the id by which the handle's namespace knows another one,
// and gives it one first where it has none. An id is used again for another
// namespace once its own has died, so whoever keeps one must compare the link
// that [Handle.LinkIn] finds, by alias and MAC, before deleting anything.
func (h *Handle) AssignNSID(n *Namespace) (int, error) {
	fd := attr32(netnsaFD, uint32(n.FD()))
	anyID := attr32(netnsaNSID, ^uint32(0)) // NETNSA_NSID_NOT_ASSIGNED: the lowest free one
	// NLM_F_ECHO returns the id with the same message.
	answers, err := h.do(unix.RTM_NEWNSID, unix.NLM_F_ECHO, unix.RTM_NEWNSID, nl.NewRtGenMsg(), fd, anyID)
	id := nsidIn(answers)
	if isErrno(err, unix.EEXIST) {
		id, err = h.nsid(n)
	}
	if err == nil && id < 0 {
		err = errors.New("the kernel named none")
	}
	if err != nil {
		return -1, fmt.Errorf("assign an id to the network namespace: %w", err)
	}
	return id, nil
}

// nsid returns the id by which the handle's namespace knows another one; -1
// where it has none.
func (h *Handle) nsid(n *Namespace) (int, error) {
	answers, err := h.do(unix.RTM_GETNSID, 0, unix.RTM_NEWNSID, nl.NewRtGenMsg(), attr32(netnsaFD, uint32(n.FD())))
	if err != nil {
		return -1, fmt.Errorf("read the id of a network namespace: %w", err)
	}
	return nsidIn(answers), nil
}

// nsidIn reads the id of RTM_NEWNSID messages; -1: it is not assigned.
func nsidIn(answers [][]byte) int {
	for _, b := range answers {
		for kind, v := range attributes(b[min(4, len(b)):]) { // struct rtgenmsg, padded
			if kind == netnsaNSID {
				return int(int32(number(v)))
			}
		}
	}
	return -1
}

// LinkIn returns a link of the namespace with an id. Errors: [ErrNoNamespace]
// when no namespace has the id (it died), [ErrNoLink].
func (h *Handle) LinkIn(nsid int, name string) (LinkInfo, error) {
	l, err := h.link(linkHeader(0), attrString(unix.IFLA_IFNAME, name), attr32(unix.IFLA_TARGET_NETNSID, uint32(nsid)))
	if err != nil {
		return l, fmt.Errorf("find interface %q in namespace %d: %w", name, nsid, noNamespace(err))
	}
	return l, nil
}

// LinkAtIn is LinkIn by index, which stays when a link is renamed.
func (h *Handle) LinkAtIn(nsid, index int) (LinkInfo, error) {
	l, err := h.link(linkHeader(index), attr32(unix.IFLA_TARGET_NETNSID, uint32(nsid)))
	if err != nil {
		return l, fmt.Errorf("find interface %d in namespace %d: %w", index, nsid, noNamespace(err))
	}
	return l, nil
}

// DeleteIn deletes a link in the namespace with an id. Errors:
// [ErrNoNamespace], [ErrNoLink].
func (h *Handle) DeleteIn(nsid, index int) error {
	err := h.change(unix.RTM_DELLINK, 0, linkHeader(index), attr32(unix.IFLA_TARGET_NETNSID, uint32(nsid)))
	if isErrno(err, unix.ENODEV) {
		err = ErrNoLink
	}
	if err != nil {
		return fmt.Errorf("delete interface %d in namespace %d: %w", index, nsid, noNamespace(err))
	}
	return nil
}

// noNamespace names the errno of an id that is not assigned
// (rtnl_get_net_ns_capable in net/core/rtnetlink.c).
func noNamespace(err error) error {
	if isErrno(err, unix.EINVAL) {
		return fmt.Errorf("%w: %w", ErrNoNamespace, err)
	}
	return err
}
