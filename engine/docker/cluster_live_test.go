package docker

import (
	"net/netip"
	"strings"
	"testing"

	"berth/engine/doortest"
	"berth/internal/testnet"
)

// TestSharedPool requires that docker's networks get addresses of a pool that nodes share: those of
// this node's blocks, and asks the agent for a block if they have none or not the requested one.
func TestSharedPool(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const policy = "[policy]\nstatic_ips = true\n"
	h.writeNetwork("lan", doortest.Clustered, policy)
	h.callDriver("NetworkDriver.CreateNetwork", request(`{"network":"lan"}`), 200, "{}")
	h.address("", 500, "berth.toml names no etcd")
	h.writeNetwork("lan", doortest.Clustered, policy+doortest.Node)
	for _, c := range []struct{ asked, refused, block, want string }{
		{"", `this node has no address of domain \"lan-hq\"`, "192.0.2.8/31", "192.0.2.8/24"},
		{"", "", "", "192.0.2.9/24"},
		{"", `all 2 addresses that this node has of domain \"lan-hq\" are held`, "192.0.2.16/31", "192.0.2.16/24"},
		{"192.0.2.33", "this node does not own the address 192.0.2.33", "192.0.2.32/30", "192.0.2.33/24"},
	} {
		if c.refused != "" {
			h.address(c.asked, 500, c.refused)
			asked, _ := netip.ParseAddr(c.asked)
			doortest.AnswerWish(t, h.Store, asked, netip.MustParsePrefix(c.block))
		}
		h.address(c.asked, 200, c.want)
	}
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.8/24"}`), 200, `"MacAddress":"02:13:c1:`)
	ns := testnet.Namespace(t)
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+ns.Path()+`"`), 200, "Gateway")
	if got := testnet.Run(t, ns, "ip", "-o", "address"); !strings.Contains(got, "192.0.2.8/24") {
		t.Errorf("the container has %s", got)
	}
}
