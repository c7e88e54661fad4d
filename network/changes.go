package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Changes is a socket that hears of links and addresses that come, change and
// go: those of one namespace, and where the process may (CAP_NET_BROADCAST) of
// every other namespace that has an id in it. Close may be called while Next
// waits; Next is for one goroutine.
type Changes struct {
	file   *os.File
	all    bool
	buffer []byte
	oob    []byte
}

// Change says that something about a link, or one of its addresses, has
// changed; not what. With Lost, messages were dropped: anything may have.
type Change struct {
	NSID    int  // of the namespace; -1: the one that listens
	Index   int  // of the link there
	Address bool // an address of it, not the link itself
	Lost    bool
}

// here is the NSID of a change in the namespace that listens.
const here = -1

// changesBuffer is how much the kernel keeps unread, in bytes: a link's message
// has 1.5 kB, and a hundred containers may start at once.
const changesBuffer = 1 << 20

// ListenChanges listens in the namespace that the calling thread is in. What
// happens after it returns is heard.
func ListenChanges() (*Changes, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("listen to rtnetlink: %w", err)
	}
	c := &Changes{buffer: make([]byte, maxMessage), oob: make([]byte, unix.CmsgSpace(4))}
	// Allowed by CAP_NET_BROADCAST when it is set, and when messages come
	// (do_one_broadcast in net/netlink/af_netlink.c).
	err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	c.all = err == nil
	if errors.Is(err, unix.EPERM) {
		err = nil
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, changesBuffer) != nil {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, changesBuffer))
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err = errors.Join(err, unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})); err != nil {
		return nil, errors.Join(fmt.Errorf("listen to rtnetlink: %w", err), unix.Close(fd))
	}
	c.file = os.NewFile(uintptr(fd), "rtnetlink changes")
	return c, nil
}

// All reports whether other namespaces are heard as well.
func (c *Changes) All() bool { return c.all }

// Close ends a Next that waits.
func (c *Changes) Close() error { return c.file.Close() }

// Next waits for changes: those of one message of the kernel's. The error
// wraps os.ErrClosed after Close.
func (c *Changes) Next() ([]Change, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("listen to rtnetlink: %w", err)
	}
	var n, oobn int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, failed = unix.Recvmsg(int(fd), c.buffer, c.oob, 0)
		return !errors.Is(failed, unix.EAGAIN)
	})
	switch {
	case err != nil: // there is no deadline
		return nil, fmt.Errorf("listen to rtnetlink: %w", os.ErrClosed)
	case errors.Is(failed, unix.ENOBUFS):
		return []Change{{Lost: true}}, nil
	case errors.Is(failed, unix.EINTR):
		return nil, nil
	case failed != nil:
		return nil, fmt.Errorf("listen to rtnetlink: %w", failed)
	}
	return changesIn(c.buffer[:n], nsidOf(c.oob[:oobn])), nil
}

// nsidOf reads from which namespace a message is; the kernel does not say it
// of one's own (netlink_cmsg_listen_all_nsid in net/netlink/af_netlink.c).
func nsidOf(oob []byte) int {
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return here
	}
	for _, m := range all {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(m.Data) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(m.Data)))
		}
	}
	return here
}

// changesIn reads the index of each message, which links and addresses have in
// one place (struct ifinfomsg, struct ifaddrmsg).
func changesIn(b []byte, nsid int) (all []Change) {
	for header, payload := range messagesIn(b) {
		if len(payload) < unix.SizeofIfAddrmsg {
			continue
		}
		one := Change{NSID: nsid, Index: int(int32(binary.NativeEndian.Uint32(payload[4:])))}
		switch header.Type {
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			one.Address = true
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		default:
			continue
		}
		all = append(all, one)
	}
	return all
}
