package lease

import (
	"net/netip"
	"testing"
)

// A lease without a container is the host's own, and the error names the host.
func TestTheHostAsHolder(t *testing.T) {
	l := Lease{Addr: netip.MustParseAddr("192.0.2.1"), Owner: "host/lan", Network: "lan"}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&InUseError{Holder: l}, `address 192.0.2.1 is in use by the host itself (network "lan")`},
		{
			&ExhaustedError{Network: "lan", Range: netip.MustParsePrefix("192.0.2.0/31"), Size: 2, Held: 2, Holders: []Lease{l, {Addr: l.Addr.Next(), Container: "web", Network: "lan"}}},
			`network "lan": all 2 addresses of 192.0.2.0/31 are held, by the host itself (192.0.2.1), web (192.0.2.2)`,
		},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("said\n%s\nwant\n%s", got, c.want)
		}
	}
}
