package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// Claimant is an interface with addresses that it has or is about to get.
type Claimant struct {
	Index     int // its index in its namespace
	Name      string
	MAC       specs.MAC
	Parent    specs.MAC // the parent's MAC, by which berth probes ahead, or zero
	Addresses []netip.Addr
}

// Conflict is a claimed address that another host has or probes for.
type Conflict struct {
	Interface string // the claimant's interface
	Addr      netip.Addr
	MAC       specs.MAC // the other host's MAC
}

// String describes the conflict as a sentence.
func (c Conflict) String() string {
	return fmt.Sprintf("%s (on %s) is used by %s already", c.Addr, c.Interface, c.MAC)
}

// claims collects conflicts from received frames. It is pure, so that tests can
// check it against exact bytes.
type claims struct {
	claimants []Claimant
	own       map[specs.MAC]bool // a switch may reflect frames of the claimants
	found     map[claim]specs.MAC
	total     int // number of claims
}

// claim is one address on one link.
type claim struct {
	index int
	addr  netip.Addr
}

func newClaims(claimants []Claimant) *claims {
	c := &claims{claimants: claimants, own: map[specs.MAC]bool{}, found: map[claim]specs.MAC{}}
	for _, each := range claimants {
		c.own[each.MAC] = true
		if !each.Parent.IsZero() {
			c.own[each.Parent] = true
		}
		c.total += len(each.Addresses)
	}
	return c
}

// checkFrame checks a frame that was received on a link, from its Ethernet header on.
func (c *claims) checkFrame(index int, frame []byte) {
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
	if ok && !c.own[mac] && c.isClaimed(got) {
		if _, known := c.found[got]; !known {
			c.found[got] = mac
		}
	}
}

func (c *claims) isClaimed(got claim) bool {
	for _, each := range c.claimants {
		for _, a := range each.Addresses {
			if (claim{each.Index, a}) == got {
				return true
			}
		}
	}
	return false
}

// allConflict reports whether every claim is in conflict.
func (c *claims) allConflict() bool { return len(c.found) == c.total }

// conflicts returns the conflicts found so far, in the order of the claimants.
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

// eachAddress calls fn for every address until it returns an error.
func (c *claims) eachAddress(fn func(Claimant, netip.Addr) error) error {
	for _, claimant := range c.claimants {
		for _, a := range claimant.Addresses {
			if err := fn(claimant, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasFamily reports whether any claim is of an address family.
func (c *claims) hasFamily(is func(netip.Addr) bool) (yes bool) {
	_ = c.eachAddress(func(_ Claimant, a netip.Addr) error { yes = yes || is(a); return nil }) // fn never fails
	return yes
}
