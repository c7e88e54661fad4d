package cni

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	result "github.com/containernetworking/cni/pkg/types/100"

	"berth/internal/state"
	"berth/specs"
)

// TestResolversOfALease requires that a result has the resolvers of a DHCP lease, unless a
// plugin before has set some.
func TestResolversOfALease(t *testing.T) {
	t.Parallel()
	lease := &specs.DHCPLease{DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Domain: "example.org", Search: []string{"example.net"}}
	a := &state.Attachment{Interface: "net0", DHCP: []state.DHCPClient{{IPv6: true}, {Lease: lease}}}
	for _, protocol := range Versions {
		before := &result.Result{CNIVersion: result.ImplementedSpecVersion}
		c := &call{CNI: &specs.CNI{Version: protocol}}
		for _, want := range []string{`"dns":{"domain":"example.org","nameservers":["192.0.2.53"],"search":["example.net"]}`, `"dns":{"nameservers":["198.51.100.53"]}`} {
			r, err := resultOf(c, a, before)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			got := string(text)
			if protocol < "1" { // its keys are in another order
				got = strings.Replace(got, `{"nameservers":["192.0.2.53"],"domain":"example.org"`, `{"domain":"example.org","nameservers":["192.0.2.53"]`, 1)
			}
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", protocol, got, want)
			}
			before.DNS.Nameservers, before.DNS.Domain, before.DNS.Search = []string{"198.51.100.53"}, "", nil
		}
	}
}
