package exchange

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"berth/dhcp"
	"berth/network"
	"berth/specs"
)

// GiveBack releases the lease of a client, from the interface with an index in a namespace, or from
// the parent in the calling thread's namespace if ns is nil. A client of DHCPv6 waits for the
// server's Reply, a fraction of a second at most. No reply is not an error. It needs CAP_NET_RAW.
func GiveBack(ctx context.Context, ns *network.Namespace, index int, mac specs.MAC, c dhcp.Client) error {
	first := c.Release(Now())
	if c.State() == dhcp.Stopped { // RFC 2131 has no answer
		return sendAll(ns, index, mac, first)
	}
	p, err := openToGiveBack(ns, index, mac)
	if err != nil {
		return err
	}
	defer func() { go p.Close() }() // nothing waits for it
	for _, a := range first {
		if err := p.Send(a); err != nil {
			return err // no reply would come
		}
	}
	handle := func(dhcp.Action) ([]dhcp.Action, error) { return nil, nil }
	_, err = Turn(ctx, p, c, nil, handle, func() bool { return c.State() == dhcp.Stopped })
	return err
}

// sendAll sends messages that have no reply.
func sendAll(ns *network.Namespace, index int, mac specs.MAC, all []dhcp.Action) error {
	send := func() error {
		for _, a := range all {
			if err := SendOnce(index, mac, a); err != nil {
				return err
			}
		}
		return nil
	}
	if ns == nil {
		return send()
	}
	return ns.Do(send)
}

// openToGiveBack opens the port of GiveBack. The parent receives frames to the MAC of an interface
// that no longer exists only if it is added to the parent's own; the kernel removes it with the
// socket. A server that has forgotten the neighbour cannot find it again, so its Reply may not come.
func openToGiveBack(ns *network.Namespace, index int, mac specs.MAC) (*Port, error) {
	if ns != nil {
		return Open(ns, index, mac, true)
	}
	p, err := OpenHere(index, mac, true)
	if err != nil {
		return nil, err
	}
	add := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_UNICAST, Alen: uint16(len(mac))}
	copy(add.Address[:], mac[:])
	raw, err := p.file.SyscallConn()
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptPacketMreq(int(fd), unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &add)
		})
		if err == nil {
			err = controlErr
		}
	}
	if err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("receive frames to %s on the parent: %w", mac, err)
	}
	return p, nil
}
