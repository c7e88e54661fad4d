package cni

import (
	"net/netip"
	"strings"
	"testing"

	"berth/engine/doortest"
	"berth/internal/testnet"
)

// TestSharedPool adds an interface on a network whose pool nodes share, with an address of a block
// that the agent gets. It refuses one if the machine is no node, or has no address; then it asks the
// agent for a block.
func TestSharedPool(t *testing.T) {
	t.Parallel()
	n, ns := newNode(t), testnet.Namespace(t)
	n.Write("networks.d/lan.toml", doortest.Clustered+doortest.LAN)
	add := on(ns, "c1", conf("1.1.0", ""))
	n.refused("ADD", add, codeFailed, "berth.toml names no etcd")
	n.Write("berth.toml", doortest.Node)
	n.refused("ADD", add, codeFailed, `this node has no address of domain "lan-hq"`)
	doortest.AnswerWish(t, n.Store, netip.Addr{}, netip.MustParsePrefix("192.0.2.8/31"))
	out := n.must("ADD", add)
	if !strings.Contains(out, `"192.0.2.8/24"`) || !strings.Contains(out, `"mac": "02:13:c1:`) {
		t.Errorf("the result is %s", out)
	}
	n.must("CHECK", on(ns, "c1", withResult(add.conf, out)))
	n.must("DEL", add)
	n.RequireNothing(ns)
}
