package specs

import (
	"strings"
	"testing"
)

// TestOptionsOfOneKey has several options that set the same key, in each order: docker and podman
// pass them as a map.
func TestOptionsOfOneKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		err  string // in both orders, or "" for none
	}{
		{"macvlan_mode=private", "ipvlan_mode=l2", "give one of mode, macvlan_mode and ipvlan_mode"},
		{"mode=private", "macvlan_mode=vepa", "give one of mode, macvlan_mode and ipvlan_mode"},
		{"mode=private", "macvlan_mode=private", ""},
		{"mtu=1400", "com.docker.network.driver.mtu=1500", "give one of mtu and com.docker.network.driver.mtu"},
		{"mtu=1400", "com.docker.network.driver.mtu=1400", ""},
		{"mtu=1400", "mode=private", ""},
	} {
		for _, order := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			n := new(Network)
			var err error
			for _, option := range order {
				if err == nil {
					name, value, _ := strings.Cut(option, "=")
					err = n.SetOption(name, value)
				}
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v: %v; want an error with %q", order, err, c.err)
			}
		}
	}
}
