package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Changes is a socket that receives notifications of new, changed and deleted links
// and addresses: those of its own namespace, and with CAP_NET_BROADCAST those of
// every namespace that has an ID in it. Close may be called while Next waits; Next is
// for one goroutine.
type Changes struct {
	file   *os.File
	all    bool
	buffer []byte
	oob    []byte
}

// Change reports that a link, one of its addresses or one of its filters changed. Of links and addresses
// it does not contain the change itself. If Lost is set, messages were dropped and anything may have changed.
type Change struct {
	NSID    int          // of the namespace, or -1 for the socket's own
	Index   int          // index of the link there, or 0 if the namespace got its ID or has ended
	Address bool         // an address of the link changed, not the link itself
	Filters bool         // a qdisc or a filter of the link changed, not the link itself
	Filter  FilterChange // if Filters is set
	Left    bool         // the link was deleted, or moved to another namespace
	Ended   bool         // the namespace has ended: the kernel may give its ID to another one
	Lost    bool
}

// FilterChange has the facts of a qdisc or a filter that changed (struct tcmsg and its attributes).
type FilterChange struct {
	Deleted  bool
	Qdisc    bool   // it is a qdisc
	Parent   uint32 // handle of the place
	Handle   uint32 // 0 if all filters of a priority were deleted
	Priority uint16 // of a filter
	Chain    uint32 // of a filter
	Kind     string
	Program  uint32 // ID of a filter's BPF program, or 0
}

// ownNSID is the NSID of a change in the socket's own namespace.
const ownNSID = -1

// changesBuffer is the size of the socket's receive buffer in bytes: a link's message
// has 1.5 kB, and a hundred containers may start at once.
const changesBuffer = 1 << 20

// linkGroups are the groups of links, addresses and IDs of namespaces.
const linkGroups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | 1<<(unix.RTNLGRP_NSID-1)

// ListenChanges listens in the namespace of the calling thread. It misses no change
// after it returns.
func ListenChanges() (*Changes, error) { return listen(linkGroups) }

// ListenWithFilters is ListenChanges for qdiscs and their filters as well. The kernel sends no
// notification of programs that are attached by tcx.
func ListenWithFilters() (*Changes, error) { return listen(linkGroups | 1<<(unix.RTNLGRP_TC-1)) }

func listen(groups uint32) (*Changes, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("listen to rtnetlink: %w", err)
	}
	c := &Changes{buffer: make([]byte, maxMessage), oob: make([]byte, unix.CmsgSpace(4))}
	// The kernel requires CAP_NET_BROADCAST both to set this option and to deliver
	// messages (do_one_broadcast in net/netlink/af_netlink.c).
	err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	c.all = err == nil
	if errors.Is(err, unix.EPERM) {
		err = nil
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, changesBuffer) != nil {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, changesBuffer))
	}
	if err = errors.Join(err, unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})); err != nil {
		return nil, errors.Join(fmt.Errorf("listen to rtnetlink: %w", err), unix.Close(fd))
	}
	c.file = os.NewFile(uintptr(fd), "rtnetlink changes")
	return c, nil
}

// All reports whether changes in other namespaces are received as well.
func (c *Changes) All() bool { return c.all }

// Close closes the socket and ends a pending Next.
func (c *Changes) Close() error { return c.file.Close() }

// Next waits for changes and returns those of one kernel message. After Close the
// error wraps os.ErrClosed.
func (c *Changes) Next() ([]Change, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("listen to rtnetlink: %w", err)
	}
	var some []Change
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		some, failed = c.receive(int(fd))
		return !errors.Is(failed, unix.EAGAIN)
	})
	switch {
	case err != nil: // no deadline is set, so only Close causes it
		return nil, fmt.Errorf("listen to rtnetlink: %w", os.ErrClosed)
	case errors.Is(failed, unix.EINTR):
		return nil, nil
	case failed != nil:
		return nil, fmt.Errorf("listen to rtnetlink: %w", failed)
	}
	return some, nil
}

// receive returns the changes of one message, without waiting.
//
// After an overflow the kernel drops every notification until the socket is empty, and reports
// that once, before the messages that the socket holds (netlink_overrun and netlink_rcv_wake in
// net/netlink/af_netlink.c). So the overflow is returned when the socket is empty: a reader that
// reads everything again then misses no change.
func (c *Changes) receive(fd int) ([]Change, error) {
	lost := false
	for {
		n, oobn, flags, _, err := unix.Recvmsg(fd, c.buffer, c.oob, 0)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			lost = true
		case lost && errors.Is(err, unix.EAGAIN):
			return []Change{{Lost: true}}, nil
		case err != nil && !(lost && errors.Is(err, unix.EINTR)):
			return nil, err
		case !lost:
			if flags&unix.MSG_TRUNC != 0 { // of a link that is too long; its beginning has its index
				binary.NativeEndian.PutUint32(c.buffer, uint32(n))
			}
			return changesIn(c.buffer[:n], nsidOf(c.oob[:oobn])), nil
		}
	}
}

// nsidOf returns the NSID of a message's namespace. The kernel sends none for the
// socket's own namespace (netlink_cmsg_listen_all_nsid in net/netlink/af_netlink.c).
func nsidOf(oob []byte) int {
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return ownNSID
	}
	for _, m := range all {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(m.Data) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(m.Data)))
		}
	}
	return ownNSID
}

// changesIn parses the ID of a namespace that got it or has ended (a dying namespace sends no
// other notification), and else the index of each message, which links, addresses and qdiscs have at
// the same offset (struct ifinfomsg, struct ifaddrmsg, struct tcmsg).
func changesIn(b []byte, nsid int) (all []Change) {
	for header, payload := range messagesIn(b) {
		if header.Type == unix.RTM_NEWNSID || header.Type == unix.RTM_DELNSID {
			if id := nsidIn([][]byte{payload}); nsid == ownNSID && id >= 0 {
				all = append(all, Change{NSID: id, Ended: header.Type == unix.RTM_DELNSID})
			}
			continue
		}
		if len(payload) < unix.SizeofIfAddrmsg {
			continue
		}
		one := Change{NSID: nsid, Index: int(int32(binary.NativeEndian.Uint32(payload[4:])))}
		switch header.Type {
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			one.Address = true
		case unix.RTM_NEWQDISC, unix.RTM_DELQDISC, unix.RTM_NEWTFILTER, unix.RTM_DELTFILTER:
			one.Filters, one.Filter = true, filterChangeIn(header.Type, payload)
		case unix.RTM_NEWLINK:
		case unix.RTM_DELLINK: // or a port that has left its bridge, of another family
			one.Left = payload[0] == unix.AF_UNSPEC
		default:
			continue
		}
		all = append(all, one)
	}
	return all
}

// filterChangeIn parses a message of a qdisc or a filter. Attributes that do not fit are zero.
func filterChangeIn(kind uint16, b []byte) (c FilterChange) {
	c.Qdisc = kind == unix.RTM_NEWQDISC || kind == unix.RTM_DELQDISC
	c.Deleted = kind == unix.RTM_DELQDISC || kind == unix.RTM_DELTFILTER
	if len(b) < nl.SizeofTcMsg {
		return c
	}
	at := nl.DeserializeTcMsg(b)
	c.Parent, c.Handle = at.Parent, at.Handle
	if !c.Qdisc {
		c.Priority = uint16(at.Info >> 16)
	}
	for kind, v := range attributes(b[nl.SizeofTcMsg:]) {
		switch kind {
		case nl.TCA_KIND:
			c.Kind = unix.ByteSliceToString(v)
		case nl.TCA_CHAIN:
			c.Chain = uint32(parseNumber(v))
		case nl.TCA_OPTIONS:
			for kind, v := range attributes(v) {
				if c.Kind == "bpf" && kind == nl.TCA_BPF_ID {
					c.Program = uint32(parseNumber(v))
				}
			}
		}
	}
	return c
}
