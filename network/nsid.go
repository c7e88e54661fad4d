package network

import (
	"errors"
	"fmt"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of RTM_NEWNSID (include/uapi/linux/net_namespace.h).
const (
	netnsaNSID = 1
	netnsaPID  = 2
	netnsaFD   = 3
)

// AssignNSID returns the ID of another namespace in the handle's namespace, and
// assigns one first if it has none. Once the other namespace ends, the kernel may
// reuse the ID at any moment: a caller that keeps an ID must compare the alias and
// the MAC of the link that [Handle.LinkIn] returns, and delete a link by a name that
// no other link ever has ([Handle.DeleteIn]).
func (h *Handle) AssignNSID(n *Namespace) (int, error) {
	return h.assignNSID(attr32(netnsaFD, uint32(n.FD())))
}

// AssignNSIDOfProcess is [Handle.AssignNSID] for the namespace of a process. It reports
// whether the namespace had no ID before. The kernel requires no right over the process
// (rtnl_net_newid in net/core/net_namespace.c). Errors: [ErrNoNamespace] if the process has
// ended.
func (h *Handle) AssignNSIDOfProcess(pid int) (id int, fresh bool, err error) {
	id, fresh, err = h.assignIfMissing(attr32(netnsaPID, uint32(pid)))
	if isErrno(err, unix.ESRCH) {
		err = fmt.Errorf("%w: process %d has ended", ErrNoNamespace, pid)
	}
	return id, fresh, err
}

// AssignNSIDOfFile is [Handle.AssignNSIDOfProcess] for the namespace that is mounted at a
// path. Errors: those of [OpenPath].
func (h *Handle) AssignNSIDOfFile(path string) (id int, fresh bool, err error) {
	n, err := OpenPath(path)
	if err != nil {
		return -1, false, err
	}
	defer n.Close()
	return h.assignIfMissing(attr32(netnsaFD, uint32(n.FD())))
}

// assignIfMissing reads the ID first, because most namespaces have one.
func (h *Handle) assignIfMissing(which *nl.RtAttr) (id int, fresh bool, err error) {
	id, err = h.nsidOf(which)
	if err != nil || id >= 0 {
		return id, false, err
	}
	id, err = h.assignNSID(which)
	return id, err == nil, err
}

// assignNSID assigns an ID to the namespace that an attribute names, unless it has one.
func (h *Handle) assignNSID(which *nl.RtAttr) (int, error) {
	anyID := attr32(netnsaNSID, ^uint32(0)) // NETNSA_NSID_NOT_ASSIGNED: the lowest free one
	// With NLM_F_ECHO the same message returns the ID.
	answers, err := h.request(unix.RTM_NEWNSID, unix.NLM_F_ECHO, unix.RTM_NEWNSID, nl.NewRtGenMsg(), which, anyID)
	id := nsidIn(answers)
	if isErrno(err, unix.EEXIST) {
		id, err = h.nsidOf(which)
	}
	if err == nil && id < 0 {
		err = errors.New("the kernel returned none")
	}
	if err != nil {
		return -1, fmt.Errorf("assign an id to the network namespace: %w", err)
	}
	return id, nil
}

// NSIDs returns the IDs that the handle's namespace has assigned to others, and perhaps to
// itself, in no order.
func (h *Handle) NSIDs() ([]int, error) {
	answers, err := h.requestDump(unix.RTM_GETNSID, unix.RTM_NEWNSID, nl.NewRtGenMsg())
	if err != nil {
		return nil, fmt.Errorf("list the ids of network namespaces: %w", err)
	}
	ids := make([]int, 0, len(answers))
	for _, b := range answers {
		if id := nsidIn([][]byte{b}); id >= 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// nsidOfNamespace returns the ID of another namespace in the handle's namespace, or -1 if it has
// none.
func (h *Handle) nsidOfNamespace(n *Namespace) (int, error) {
	return h.nsidOf(attr32(netnsaFD, uint32(n.FD())))
}

// nsidOf returns the ID of the namespace that an attribute names, or -1 if it has none.
func (h *Handle) nsidOf(which *nl.RtAttr) (int, error) {
	answers, err := h.request(unix.RTM_GETNSID, 0, unix.RTM_NEWNSID, nl.NewRtGenMsg(), which)
	if err != nil {
		return -1, fmt.Errorf("read the id of a network namespace: %w", err)
	}
	return nsidIn(answers), nil
}

// OwnNSID returns the ID that the handle's namespace has assigned to itself, and assigns one
// first if it has none.
func (h *Handle) OwnNSID() (int, error) {
	own, err := h.Namespace()
	if err != nil {
		return -1, err
	}
	defer own.Close()
	return h.AssignNSID(own)
}

// IsOwn reports whether the ID from a link (LinkInfo.ParentNSID) is that of the
// handle's own namespace. The own namespace gets an ID too once a link of another
// namespace has its parent in it.
func (h *Handle) IsOwn(nsid int) (bool, error) {
	if nsid < 0 {
		return false, nil
	}
	own, err := h.Namespace()
	if err != nil {
		return false, err
	}
	defer own.Close()
	id, err := h.nsidOfNamespace(own)
	return err == nil && id == nsid, err
}

// nsidIn parses the ID of RTM_NEWNSID messages. It returns -1 if none is assigned.
func nsidIn(answers [][]byte) int {
	for _, b := range answers {
		for kind, v := range attributes(b[min(4, len(b)):]) { // struct rtgenmsg, padded
			if kind == netnsaNSID {
				return int(int32(parseNumber(v)))
			}
		}
	}
	return -1
}

// LinkIn returns a link of the namespace with an ID, by its name or by an alternative
// one. Errors: [ErrNoNamespace] if no namespace has the ID (it has ended),
// [ErrNoLink].
func (h *Handle) LinkIn(nsid int, name string) (LinkInfo, error) {
	l, err := h.requestLink(linkHeader(0), nameAttr(name), attr32(unix.IFLA_TARGET_NETNSID, uint32(nsid)))
	if err != nil {
		return l, fmt.Errorf("find interface %q in namespace %d: %w", name, nsid, noNamespace(err))
	}
	return l, nil
}

// LinkAtIn is LinkIn by index, which does not change when a link is renamed.
func (h *Handle) LinkAtIn(nsid, index int) (LinkInfo, error) {
	l, err := h.requestLink(linkHeader(index), attr32(unix.IFLA_TARGET_NETNSID, uint32(nsid)))
	if err != nil {
		return l, fmt.Errorf("find interface %d in namespace %d: %w", index, nsid, noNamespace(err))
	}
	return l, nil
}

// nameAttr returns the attribute that names a link: by its name, or by an alternative
// name if it is longer (rtnl_dev_get in net/core/rtnetlink.c).
func nameAttr(name string) *nl.RtAttr {
	if len(name) > specs.MaxInterfaceName {
		return attrString(unix.IFLA_ALT_IFNAME, name)
	}
	return attrString(unix.IFLA_IFNAME, name)
}

// DeleteIn deletes a link in the namespace with an ID, by an alternative name that no
// other link ever has. The kernel compares the name when it deletes, so nothing is
// deleted if the namespace has ended meanwhile and another one has its ID. Errors:
// [ErrNoNamespace], [ErrNoLink].
func (h *Handle) DeleteIn(nsid int, name string) error {
	err := h.deleteIn(nsid, linkHeader(0), attrString(unix.IFLA_ALT_IFNAME, name))
	if err != nil {
		return fmt.Errorf("delete interface %q in namespace %d: %w", name, nsid, err)
	}
	return nil
}

// DeleteAtIn is DeleteIn by index, for a link without its alternative name. It
// deletes a link of another namespace if the ID is reused meanwhile, so the caller
// compares the link immediately before.
func (h *Handle) DeleteAtIn(nsid, index int) error {
	if err := h.deleteIn(nsid, linkHeader(index)); err != nil {
		return fmt.Errorf("delete interface %d in namespace %d: %w", index, nsid, err)
	}
	return nil
}

// LinksIn returns all links of the namespace with an ID. Errors: [ErrNoNamespace]; [ErrInterrupted]
// together with the links that were read, of which some may be missing or out of date.
func (h *Handle) LinksIn(nsid int) ([]LinkInfo, error) {
	answers, err := h.requestDump(unix.RTM_GETLINK, unix.RTM_NEWLINK, linkHeader(0),
		attr32(unix.IFLA_TARGET_NETNSID, uint32(nsid)))
	if err != nil {
		err = fmt.Errorf("list interfaces of namespace %d: %w", nsid, noNamespace(err))
	}
	all := make([]LinkInfo, 0, len(answers))
	for _, b := range answers {
		l, failed := parseLink(b)
		if failed != nil {
			return nil, failed
		}
		all = append(all, l)
	}
	return all, err
}

func (h *Handle) deleteIn(nsid int, which ...nl.NetlinkRequestData) error {
	err := h.requestAck(unix.RTM_DELLINK, 0, append(which, attr32(unix.IFLA_TARGET_NETNSID, uint32(nsid)))...)
	if isErrno(err, unix.ENODEV) {
		return ErrNoLink
	}
	return noNamespace(err)
}

// noNamespace wraps the errno of an unassigned ID in [ErrNoNamespace]
// (rtnl_get_net_ns_capable in net/core/rtnetlink.c).
func noNamespace(err error) error {
	if isErrno(err, unix.EINVAL) {
		return fmt.Errorf("%w: %w", ErrNoNamespace, err)
	}
	return err
}
