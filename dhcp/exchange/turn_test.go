package exchange

import (
	"net/netip"
	"testing"

	"berth/dhcp"
	"berth/specs"
)

// silent is a client that has received the values in its fields.
type silent struct {
	dhcp.Client
	counts dhcp.Counts
	seen   []string
}

func (c silent) Counts() dhcp.Counts { return c.counts }
func (c silent) Seen() []string      { return c.seen }

func TestAccountOfALeaseThatDidNotComeInTime(t *testing.T) {
	t.Parallel()
	probed := &dhcp.Lease{DHCPLease: specs.DHCPLease{Address: netip.MustParsePrefix("192.0.2.104/24"), Server: netip.MustParseAddr("192.0.2.1")}}
	for _, c := range []struct {
		client silent
		probed *dhcp.Lease
		want   string
	}{
		{silent{counts: dhcp.Counts{"discover": 4}}, nil, "messages: 4 DISCOVER; no server answered"},
		{silent{counts: dhcp.Counts{"discover": 1, "ack": 1}}, probed,
			"messages: 1 ACK, 1 DISCOVER; 192.0.2.1 leased 192.0.2.104/24, and the time ended during the probe for it"},
		{silent{counts: dhcp.Counts{"discover": 2}, seen: []string{"a server refused"}}, nil, "messages: 2 DISCOVER; a server refused"},
	} {
		if got := account(c.client, c.probed); got != c.want {
			t.Errorf("%v: %q, want %q", c.client.counts, got, c.want)
		}
	}
}
