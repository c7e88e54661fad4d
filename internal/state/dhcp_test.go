package state

import (
	"net/netip"
	"testing"
	"time"

	"berth/specs"
)

// TestAnAddressMayBeMissingAtTheEndOfItsLease checks the time from which the address of
// a lease of 8 s, which the kernel deletes by itself, may be missing.
// TestANewLeaseIsNoDriftYet checks that the address of a lease may be missing as long as the
// client needs to set it: the record has it first.
func TestANewLeaseIsNoDriftYet(t *testing.T) {
	t.Parallel()
	p := netip.MustParsePrefix("192.0.2.100/24")
	for lifetime, until := range map[specs.Seconds]time.Duration{
		specs.Forever: 110 * time.Second, 3600: 110 * time.Second, 12: 104 * time.Second,
	} {
		c := DHCPClient{Began: 100 * time.Second, Lease: &specs.DHCPLease{Address: p, Lifetime: lifetime}}
		if !c.Changing(p, until-time.Millisecond) || c.Changing(p, until) {
			t.Errorf("a lease of %v may be missing at another time than before %s", lifetime, until)
		}
	}
}

func TestAnAddressMayBeMissingAtTheEndOfItsLease(t *testing.T) {
	t.Parallel()
	p := netip.MustParsePrefix("192.0.2.100/24")
	c := DHCPClient{Began: 100 * time.Second, Lease: &specs.DHCPLease{Address: p, Lifetime: 8}}
	for at, want := range map[time.Duration]bool{
		105900 * time.Millisecond: false,
		107 * time.Second:         true, // the kernel rounds down to whole seconds
		108 * time.Second:         true,
	} {
		if got := c.Changing(p, at); got != want {
			t.Errorf("at %s: %t, want %t", at, got, want)
		}
	}
	if c.Changing(netip.MustParsePrefix("192.0.2.7/24"), 108*time.Second) {
		t.Error("an address that is not leased may be missing")
	}
}
