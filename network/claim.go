package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// Claimant is an interface that is about to have addresses, or has them.
type Claimant struct {
	Index     int // in its namespace
	Name      string
	MAC       specs.MAC
	Addresses []netip.Addr
}

// Conflict says who else has, or wants, an address.
type Conflict struct {
	Interface string // the claimant's
	Addr      netip.Addr
	MAC       specs.MAC // the other's
}

// String is the conflict in words.
func (c Conflict) String() string {
	return fmt.Sprintf("%s (on %s) is used by %s already", c.Addr, c.Interface, c.MAC)
}

// claims collects conflicts out of received frames. It is pure, so that it can
// be held to exact bytes.
type claims struct {
	claimants []Claimant
	own       map[specs.MAC]bool // a switch may reflect our own frames
	found     map[claim]specs.MAC
	total     int // claims made
}

// A claim is one address on one link.
type claim struct {
	index int
	addr  netip.Addr
}

func newClaims(claimants []Claimant) *claims {
	c := &claims{claimants: claimants, own: map[specs.MAC]bool{}, found: map[claim]specs.MAC{}}
	for _, each := range claimants {
		c.own[each.MAC] = true
		c.total += len(each.Addresses)
	}
	return c
}

// see looks at a frame that came in on a link, from its Ethernet header on.
func (c *claims) see(index int, frame []byte) {
	if len(frame) < ethernetHeader {
		return
	}
	var got claim
	var mac specs.MAC
	var ok bool
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		got.addr, mac, ok = arpClaim(frame[ethernetHeader:])
	case unix.ETH_P_IPV6:
		got.addr, mac, ok = ndClaim(frame[ethernetHeader:], macOf(frame[6:12]))
	}
	got.index = index
	if ok && !c.own[mac] && c.wanted(got) {
		if _, known := c.found[got]; !known {
			c.found[got] = mac
		}
	}
}

func (c *claims) wanted(got claim) bool {
	for _, each := range c.claimants {
		for _, a := range each.Addresses {
			if (claim{each.Index, a}) == got {
				return true
			}
		}
	}
	return false
}

// done reports whether nothing is left to be found.
func (c *claims) done() bool { return len(c.found) == c.total }

// conflicts returns what was found, in the order of the claimants.
func (c *claims) conflicts() (all []Conflict) {
	for _, each := range c.claimants {
		for _, a := range each.Addresses {
			if mac, ok := c.found[claim{each.Index, a}]; ok {
				all = append(all, Conflict{Interface: each.Name, Addr: a, MAC: mac})
			}
		}
	}
	return all
}

// each calls fn for every address, until it fails.
func (c *claims) each(fn func(Claimant, netip.Addr) error) error {
	for _, claimant := range c.claimants {
		for _, a := range claimant.Addresses {
			if err := fn(claimant, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasFamily reports whether a claim is of an address family.
func (c *claims) hasFamily(is func(netip.Addr) bool) (yes bool) {
	_ = c.each(func(_ Claimant, a netip.Addr) error { yes = yes || is(a); return nil }) // fn never fails
	return yes
}
