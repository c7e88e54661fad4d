package netavark

import (
	"net/netip"
	"strings"
	"testing"

	"berth/engine/doortest"
	"berth/internal/testnet"
)

// TestSharedPool sets up an interface on a network whose pool nodes share, with an address of a block
// that the agent gets. It fails if the machine is no node, or has no address; then it asks the agent for
// a block. An address of a block of another node is refused.
func TestSharedPool(t *testing.T) {
	t.Parallel()
	h, ns := newHost(t), testnet.Namespace(t)
	h.Write("networks.d/lan.toml", doortest.Clustered+doortest.LAN)
	setUp := callOn("c1", named, "eth0", "")
	h.expectError("berth.toml names no etcd", setUp, "setup", ns.Path())
	h.Write("berth.toml", doortest.Node+"[policy]\nparents = [\"PARENT\"]\nmodes = [\"bridge\"]\nstatic_ips = true\n")
	h.expectError(`this node has no address of domain "lan-hq"`, setUp, "setup", ns.Path())
	doortest.AnswerWish(t, h.Store, netip.Addr{}, netip.MustParsePrefix("192.0.2.8/31"))
	out := h.mustRun(setUp, "setup", ns.Path())
	h.expectStatus(out, "192.0.2.8/24", "")
	if !strings.Contains(out, `"02:13:c1:`) {
		t.Errorf("the MAC is not of the node's prefix: %s", out)
	}
	other := testnet.Namespace(t)
	foreign := callOn("c2", named, "eth0", `,"static_ips":["192.0.2.40"]`)
	h.expectError("this node does not own the address 192.0.2.40", foreign, "setup", other.Path())
	h.mustRun(setUp, "teardown", ns.Path())
	h.RequireNothing(ns, other)
}
