package netavark

import (
	"encoding/json"
	"net/netip"
	"testing"

	"berth/internal/state"
	"berth/specs"
)

// TestStatusOfALease requires the resolvers of a DHCP lease, and the domain if there is no
// list of domains to search.
func TestStatusOfALease(t *testing.T) {
	t.Parallel()
	a := &state.Attachment{
		Interface: "eth0", MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1},
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24"), netip.MustParsePrefix("2001:db8::7/64")},
		Gateways:  []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		DHCP: []state.DHCPClient{
			{Lease: &specs.DHCPLease{DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Domain: "example.com"}},
			{Lost: "no answer"},
			{Lease: &specs.DHCPLease{Domain: "example.net", Search: []string{"a.example.org"}}},
		},
	}
	const want = `{"interfaces":{"eth0":{"mac_address":"02:00:5e:00:53:01","subnets":[{"ipnet":"192.0.2.7/24","gateway":"192.0.2.1"},{"ipnet":"2001:db8::7/64"}]}},` +
		`"dns_server_ips":["192.0.2.53"],"dns_search_domains":["example.com","a.example.org"]}`
	if got, err := json.Marshal(statusOf(a)); err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	const none = `{"interfaces":{"eth0":{"mac_address":"02:00:5e:00:53:01","subnets":[]}}}`
	if got, err := json.Marshal(statusOf(&state.Attachment{Interface: "eth0", MAC: a.MAC})); err != nil || string(got) != none {
		t.Errorf("%s, %v\nwant %s", got, err, none)
	}
}
