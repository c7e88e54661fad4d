package lease

import (
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/ipam"
)

// SharedFree returns the number of addresses in the open blocks of a pool domain that are neither
// leased nor, on any parent, another program's.
func SharedFree(tx *state.Tx, poolDomain string, p *ipam.Pool) (n int, err error) {
	parts, err := Parts(tx, poolDomain)
	if err != nil {
		return 0, err
	}
	var open []*ipam.Pool
	for _, part := range parts {
		if part.Prefix.IsValid() && p.Range().Overlaps(part.Prefix) {
			open = append(open, p.Within(part.Prefix))
			n += int(open[len(open)-1].Size())
		}
	}
	used, err := SharedAddresses(tx, poolDomain)
	if err != nil {
		return 0, err
	}
	for f, err := range tx.ForeignAddresses(p.Range().Addr()) {
		if err != nil || !p.Range().Contains(f.Addr) {
			return n - countGivenOut(open, used), err
		}
		used = append(used, f.Addr)
	}
	return n - countGivenOut(open, used), nil
}

// countGivenOut counts the addresses that some pools give out, each once.
func countGivenOut(pools []*ipam.Pool, addresses []netip.Addr) (n int) {
	slices.SortFunc(addresses, netip.Addr.Compare)
	for _, a := range slices.Compact(addresses) {
		if slices.ContainsFunc(pools, func(p *ipam.Pool) bool { return p.GivesOut(a) }) {
			n++
		}
	}
	return n
}
