package exchange

import (
	"slices"
	"testing"

	"berth/dhcp"
)

// TestAddOffer: dnsmasq pings an address for 3 s and then answers each of the DISCOVERs that came meanwhile.
func TestAddOffer(t *testing.T) {
	first, second := &dhcp.Lease{}, &dhcp.Lease{}
	var all []Offer
	for _, o := range []Offer{{Server: "a", Lease: first}, {Server: "b"}, {Server: "a", Lease: second}} {
		all = addOffer(all, o)
	}
	if !slices.Equal(all, []Offer{{Server: "a", Lease: second}, {Server: "b"}}) {
		t.Errorf("offers %+v", all)
	}
}
