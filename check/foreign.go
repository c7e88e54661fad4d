package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// Foreign is an interface that berth did not create.
type Foreign struct {
	Container string // its name for a person
	Interface string
	Addresses []netip.Prefix
}

// readForeign returns the observed interfaces that have an address on a parent.
func (s *survey) readForeign(tx *state.Tx) error {
	for a, err := range tx.Observed() {
		if err != nil {
			return err
		}
		if len(a.Addresses) > 0 {
			one := Foreign{Container: s.nameOf(a), Interface: a.Interface, Addresses: a.Addresses}
			s.foreign[a.ParentIndex] = append(s.foreign[a.ParentIndex], one)
		}
	}
	return nil
}

// A line names up to manyForeign addresses; its remedy is an exclusion of up to manyExcluded.
const (
	manyForeign  = 4
	manyExcluded = 16
)

// judgeForeign warns of addresses that a network gives out and an interface that berth did not
// create has already.
func judgeForeign(r *report, n Network) {
	if n.IPAM != specs.IPAMLocal {
		return
	}
	var texts, excluded []string
	for _, f := range n.Foreign {
		for _, p := range f.Addresses {
			if a := p.Addr(); slices.ContainsFunc(n.Subnets, func(s specs.Subnet) bool { return ipam.PoolOf(n.Network, s, n.Host).GivesOut(a) }) {
				texts = append(texts, fmt.Sprintf("%s of %s has %s", f.Interface, f.Container, a))
				excluded = append(excluded, fmt.Sprintf("%q", a))
			}
		}
	}
	if len(texts) == 0 {
		return
	}
	named, more := min(len(texts), manyForeign), ""
	if len(texts) > named {
		more = fmt.Sprintf(", and %d more", len(texts)-named)
	}
	remedy := "in the subnet of the network's file, set an ip_range that the other program does not use"
	if len(excluded) <= manyExcluded {
		remedy += fmt.Sprintf(", or add %s to its exclude", strings.Join(excluded, ", "))
	}
	r.addWarn("foreign", remedy, "the network gives out addresses that interfaces of other programs have: %s%s",
		strings.Join(texts[:named], ", "), more)
}
