//go:build engines

package e2e

import (
	"strings"
	"testing"

	"berth/test/lab"
)

// onCNI are the flags by which nerdctl starts a container on networks of CNI of the whole machine.
func onCNI(flags ...string) []string {
	return append([]string{"--cni-netconfpath", "/etc/cni/net.d"}, flags...)
}

// TestNerdctlNetworkRefused makes requests by nerdctl's own flags that a network of berth's cannot
// meet: the container does not start, nerdctl prints the reason, and nothing is left. IPv6 alone and
// two networks are requests that work.
func TestNerdctlNetworkRefused(t *testing.T) {
	s := newServedSite(t)
	must(t, s.Policy(openPolicy))
	must(t, s.Network("second", strings.Replace(lanNetwork, "192.0.2.64/26", "192.0.2.128/26", 1)))
	must(t, s.Network("six", sixNetwork))
	n := nerdctl(t, s)
	n.Plain = true
	_, err := s.Berth("install", "--engine", "nerdctl", "--cdi-dir", n.DeviceDir())
	must(t, err)
	before := s.snapshot(t)
	held := s.sleeper("held")
	held.Annotations, held.Network = nil, "lan"
	heldID, err := n.StartWith(held, onCNI("--ip", heldIP)...)
	must(t, err)
	during := s.snapshot(t)
	for name, c := range map[string]struct {
		network string
		flags   []string
		want    []string
	}{
		"unknown network": {"lam", nil, []string{"lam"}},
		"no address":      {"lan", []string{"--ip", "192.0.2.300"}, []string{"192.0.2.300"}},
		"outside":         {"lan", []string{"--ip", "198.51.100.7"}, []string{"198.51.100.7", "192.0.2.0/24"}},
		"the gateway's":   {"lan", []string{"--ip", "192.0.2.1"}, []string{"192.0.2.1", "the gateway"}},
		"in use":          {"lan", []string{"--ip", heldIP}, []string{heldIP, heldID[:12]}},
		"another family":  {"lan", []string{"--ip6", "2001:db8::9"}, []string{"2001:db8::9", "192.0.2.0/24"}},
	} {
		one := s.sleeper("refused")
		one.Annotations, one.Network = nil, c.network
		_, err := n.StartWith(one, onCNI(c.flags...)...)
		if err == nil {
			t.Errorf("%s: the container starts", name)
			must(t, n.Stop(one.ID))
			continue
		}
		t.Logf("%s: %v", name, err)
		for _, want := range c.want {
			if !strings.Contains(unquote(err.Error()), want) {
				t.Errorf("%s: the error lacks %q: %v", name, want, err)
			}
		}
	}
	s.drainEnded(t)
	if d := s.snapshot(t).difference(during); d != "" {
		t.Errorf("refused containers leave: %s", d)
	}
	six, both := s.sleeper("six"), s.sleeper("both")
	six.Annotations, six.Network = nil, "six"
	id, err := n.StartWith(six, onCNI("--ip6", "2001:db8::50")...)
	must(t, err)
	if got := findEndpoint(t, s.ps(t), id).Addresses; len(got) != 1 || got[0].String() != "2001:db8::50/64" {
		t.Errorf("berth ps shows %v, want 2001:db8::50/64 alone", got)
	}
	both.Annotations, both.Network = nil, "lan"
	_, err = n.StartWith(both, onCNI("--net", "second")...)
	must(t, err)
	if routes := defaultRoutes(t, n, both.ID); strings.Count(routes, "default") != 1 { // nerdctl chooses the order
		t.Errorf("on two networks, the default routes are %q, want one", routes)
	}
	for _, c := range []lab.Container{six, both, held} {
		must(t, n.Stop(c.ID))
	}
	s.expectNothingLeft(t, before)
}

// sixNetwork is a network of IPv6 alone.
const sixNetwork = `driver = "macvlan"
parent = "eth1"
conflict_timeout = "0"

[[subnet]]
subnet = "2001:db8::/64"
gateway = "2001:db8::1"
ip_range = "2001:db8::40/122"
`
