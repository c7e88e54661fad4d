package main

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// TestStickyFollowsToAnotherNode starts a container of a sticky network on one node, forgets that
// node, and starts the container on the other: it has its address again. While the first node owns
// the block, the container gets another address there, without an error.
func TestStickyFollowsToAnotherNode(t *testing.T) {
	t.Parallel()
	lan, networks := newClusterLAN(t), map[string]string{"lan": "sticky = true\n" + clusterNetwork}
	a, b := lan.newNode("a", parent, 2, networks), lan.newNode("b", parent, 3, networks)
	a.mustStartOne("lan") // a node that has its first block
	b.mustStartOne("lan")
	web := a.newNamed("web", "lan")
	_, had, err := a.startContainer(web)
	mustSucceed(t, err)
	former := func() (all []netip.Addr) {
		mustSucceed(t, b.store.View(t.Context(), func(tx *state.Tx) (err error) {
			all, err = lease.Former(tx, "lan-hq", lease.FormerID("web", "net1"))
			return err
		}))
		return all
	}
	testnet.Eventually(t, "b knows the address of web", func() bool { all := former(); return len(all) == 1 && all[0] == had })
	a.end(web)

	moved := b.newNamed("web", "lan")
	_, other, err := b.startContainer(moved)
	mustSucceed(t, err)
	if other == had {
		t.Errorf("web has %s on b, whose block a owns", other)
	}
	b.end(moved)
	again := a.newNamed("web", "lan")
	if _, got, err := a.startContainer(again); err != nil || got != had {
		t.Errorf("web has %s on a again, want %s; %v", got, had, err)
	}
	testnet.Eventually(t, "b knows that web is on a again", func() bool { all := former(); return len(all) == 1 && all[0] == had })

	a.end(again)
	a.agent.stopAgent(syscall.SIGTERM)
	b.clusterIs("an absent node", func(s specs.ClusterStatus) bool { return len(s.Nodes) == 2 && !s.Nodes[1-indexOf(s, "b")].Present })
	if _, err := b.client.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, got, err := b.startContainer(b.newNamed("web", "lan")); err != nil || got != had {
		t.Errorf("web has %s on b, want %s; %v", got, had, err)
	}
}

// indexOf returns the index of a node.
func indexOf(s specs.ClusterStatus, name string) int {
	for i, n := range s.Nodes {
		if strings.EqualFold(n.Name, name) {
			return i
		}
	}
	return -1
}
