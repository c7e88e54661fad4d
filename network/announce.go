package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Announce announces the addresses to the LAN, so that neighbours and switches
// drop older entries. The interfaces must have the addresses already.
//
// The kernel announces them when a request sets the MAC to its current value
// (NETDEV_CHANGEADDR in net/ipv4/devinet.c and net/ipv6/ndisc.c): a packet socket
// would take 8 to 16 ms to close. From then on the kernel also announces the
// addresses when the interface goes up again. For interfaces that accept no MAC
// (ipvlan), Announce sends the frames by a packet socket.
func Announce(n *Namespace, claimants []Claimant) error {
	if err := announceAddresses(n, claimants); err != nil {
		return fmt.Errorf("announce addresses: %w", err)
	}
	return nil
}

func announceAddresses(n *Namespace, claimants []Claimant) error {
	var all []sysctl
	for _, each := range claimants {
		all = append(all, notifySysctls(each)...)
	}
	if len(all) == 0 {
		return nil
	}
	if err := n.writeSysctls(all); err != nil {
		return err
	}
	h, err := n.Open()
	if err != nil {
		return err
	}
	var rest []Claimant
	for _, each := range claimants {
		if len(each.Addresses) == 0 {
			continue
		}
		err := h.requestAck(unix.RTM_SETLINK, 0, linkHeader(each.Index), nl.NewRtAttr(unix.IFLA_ADDRESS, each.MAC[:]))
		switch {
		case isErrno(err, unix.EOPNOTSUPP):
			rest = append(rest, each)
		case err != nil:
			return fmt.Errorf("interface %q: %w", each.Name, err)
		}
	}
	return announceByPacket(n, rest)
}

// notifySysctls makes the kernel announce the addresses of a link.
func notifySysctls(each Claimant) (all []sysctl) {
	c := newClaims([]Claimant{each})
	if c.hasFamily(netip.Addr.Is4) {
		all = append(all, sysctl{"ipv4/conf/" + each.Name + "/arp_notify", "1"})
	}
	if c.hasFamily(netip.Addr.Is6) {
		all = append(all, sysctl{"ipv6/conf/" + each.Name + "/ndisc_notify", "1"})
	}
	return all
}

// announceByPacket sends the same frames by a packet socket.
func announceByPacket(n *Namespace, claimants []Claimant) error {
	c := newClaims(claimants)
	if c.total == 0 {
		return nil
	}
	var w *wire
	err := n.Do(func() (err error) {
		w, err = openWire(c)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { go w.close() }() // nothing waits for it
	frame := framesByFamily(arpAnnouncement, ndAnnouncement)
	return c.eachAddress(func(each Claimant, a netip.Addr) error { return w.sendFrame(each, a, frame(each, a)) })
}
