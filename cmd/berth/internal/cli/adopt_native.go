package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/specs"
)

// createText returns how an engine gets a network of its own on the network of berth's.
func (m *mover) createText() string {
	switch m.engine {
	case specs.EngineDocker:
		return "\nCreate a network of docker on it, once:\n    docker network create --driver berth " +
			dockerOptions(m.network) + " " + m.native + "\n"
	case specs.EnginePodman:
		return fmt.Sprintf("\nCreate a network of podman on it, once (podman 4.5 or newer):\n"+
			"    podman network create --driver berth --opt network=%s %s\n", m.network.Name, m.native)
	}
	return "\nMake the networks of berth's known to nerdctl, once:\n    berth install --engine nerdctl\n"
}

// dockerOptions returns the options of docker network create for a network of berth's. docker chooses
// no address if berth's pools do not give out all of them.
func dockerOptions(n *specs.Network) string {
	if n.IPAM == specs.IPAMDHCP || n.IPAM == specs.IPAMNone {
		return "--ipam-driver null --opt network=" + n.Name
	}
	words := []string{"--ipam-driver berth"}
	has := func(is4 bool) bool {
		return slices.ContainsFunc(n.Subnets, func(s specs.Subnet) bool { return s.Subnet.Addr().Is4() == is4 })
	}
	if !has(true) {
		words = append(words, "--ipv4=false")
	}
	if has(false) {
		words = append(words, "--ipv6")
	}
	return strings.Join(append(words, n.SubnetOptions(), "--opt network="+n.Name), " ")
}

// fitsNative reports whether a container can request its addresses on a network of its engine:
// one of each family.
func (c *movedContainer) fitsNative() bool {
	var count [2]int
	for _, a := range c.addresses {
		count[familyOf(a)]++
	}
	return count[0] <= 1 && count[1] <= 1
}

// familyOf returns 0 for IPv4 and 1 for IPv6.
func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// nativeText returns the form of a start on a network of the engine.
func (m *mover) nativeText(c *movedContainer) string {
	switch {
	case c.service != "":
		return m.composeNetworks(c)
	case m.engine == engineNerdctl:
		return "    nerdctl run --net " + m.native + " " + requestsOf(c, [2]string{"--ip ", "--ip6 "}, " ") + "…\n"
	case len(c.addresses) == 0:
		return fmt.Sprintf("    %s run --network %s …\n", m.engine, m.native)
	case m.engine == specs.EngineDocker:
		return fmt.Sprintf("    docker run --network name=%s,%s …\n", m.native,
			strings.TrimSuffix(requestsOf(c, [2]string{"ip=", "ip6="}, ","), ","))
	}
	return fmt.Sprintf("    podman run --network %s:%s …\n", m.native,
		strings.TrimSuffix(requestsOf(c, [2]string{"ip=", "ip="}, ","), ","))
}

// requestsOf returns the addresses that a container requests, each after the word of its family and
// before an end.
func requestsOf(c *movedContainer, words [2]string, end string) (text string) {
	for _, a := range c.addresses {
		text += words[familyOf(a)] + a.String() + end
	}
	return text
}

// composeNetworks returns the changed lines of a compose file for a network of the engine.
func (m *mover) composeNetworks(c *movedContainer) string {
	text := fmt.Sprintf("    services:\n      %s:\n        networks:\n          %s:\n", printable(c.service), m.native)
	if len(c.addresses) == 0 {
		text = fmt.Sprintf("    services:\n      %s:\n        networks: [%s]\n", printable(c.service), m.native)
	}
	text += requestsOf(c, [2]string{"            ipv4_address: ", "            ipv6_address: "}, "\n")
	return text + fmt.Sprintf("    networks:\n      %s:\n        external: true\n", m.native)
}
