package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// memberLAN is a LAN of two switches, which a cable connects, with three members of etcd: two on the
// first switch, one on the second.
type memberLAN struct {
	*clusterLAN
	hosts    []testnet.EtcdHost
	members  []*testnet.Etcd
	switches map[string]string // by port, of those that plug has put there
}

// cable is the first switch's port to the second one.
const cable = "cable"

func newMemberLAN(t *testing.T) *memberLAN {
	t.Helper()
	m := &memberLAN{clusterLAN: newBareLAN(t), switches: map[string]string{}}
	testnet.Veth(t, cable, m.lan, "elbac", m.lan)
	testnet.Bridge(t, m.lan, "br2", "elbac")
	m.plug(cable, "br0")
	for i := range 3 {
		h := testnet.EtcdHost{NS: testnet.Namespace(t), Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(240 + i)})}
		testnet.Veth(t, "eth0", h.NS, memberPort(i), m.lan)
		testnet.Address(t, h.NS, "eth0", h.Address.String()+"/24")
		m.plug(memberPort(i), []string{"br0", "br0", "br2"}[i])
		m.hosts = append(m.hosts, h)
	}
	m.members = testnet.StartEtcdOn(t, m.hosts, "--log-level", "error")
	m.urls = testnet.EtcdURLs(m.members)
	return m
}

func memberPort(i int) string { return fmt.Sprint("member", i) }

// plug puts a port into a switch.
func (m *memberLAN) plug(port, bridge string) {
	m.t.Helper()
	m.switches[port] = bridge
	testnet.Run(m.t, m.lan, "ip", "link", "set", "dev", port, "master", bridge, "up")
}

// cutPort takes a port out of its switch. The link stays up.
func (m *memberLAN) cutPort(port string) (mend func()) {
	m.t.Helper()
	bridge, ok := m.switches[port]
	if !ok {
		bridge = "br0" // of newNode
	}
	testnet.Run(m.t, m.lan, "ip", "link", "set", "dev", port, "nomaster")
	return func() { m.plug(port, bridge) }
}

// lose loses the packets of a machine to an address.
func (m *memberLAN) lose(from *testnet.NS, to netip.Addr) (mend func()) {
	m.t.Helper()
	route := func(verb string) { testnet.Run(m.t, from, "ip", "route", verb, "blackhole", to.String()+"/32") }
	route("add")
	return func() { route("del") }
}

// TestSplitSite cuts a site with three members of etcd and two nodes into two parts. Both nodes go on
// with their blocks, the one in the part with one member also after a reboot; only the other node gets
// more. When the parts are connected again, each node sees all containers, and gets more blocks. No
// address or MAC was on both.
func TestSplitSite(t *testing.T) {
	t.Parallel()
	m, networks := newMemberLAN(t), map[string]string{"lan": clusterNetwork}
	most, few := m.newNode("most", parent, 2, networks), m.newNode("few", parent, 3, networks)
	m.plug("few", "br2")
	most.mustStartOne("lan")
	before, _ := few.mustStartOne("lan")
	together := func(attachments int) func(specs.ClusterStatus) bool {
		return func(s specs.ClusterStatus) bool {
			return s.Error == "" && len(s.Nodes) == 2 && s.Nodes[0].Present && s.Nodes[1].Present &&
				len(s.Attachments) == attachments
		}
	}
	few.clusterIs("two nodes", together(2))

	mend := m.cutPort(cable)
	few.clusterIs("a node without the majority of etcd", func(s specs.ClusterStatus) bool {
		return strings.Contains(s.Error, "etcd has not answered since") && len(s.Nodes) == 1 && s.Nodes[0].This
	})
	most.clusterIs("the other node is absent", func(s specs.ClusterStatus) bool {
		return s.Error == "" && len(s.Nodes) == 2 && !s.Nodes[indexOf(s, "few")].Present
	})
	for range 12 { // more than its first block has
		most.mustStartOne("lan")
	}
	before.lose()
	few.reboot()
	free := few.freeHere()
	if free == 0 {
		t.Error("the node without the majority has no address after its reboot")
	}
	for range free {
		few.mustStartOne("lan")
	}
	if _, _, err := few.start("lan"); err == nil || !strings.Contains(err.Error(), `this node has of domain "lan-hq" are held`) {
		t.Errorf("a start without etcd and a free address: %v", err)
	}

	mend()
	most.clusterIs("both nodes after the cut", together(13+free))
	most.mustStartOne("lan")
	few.mustStartOne("lan")
	few.clusterIs("both nodes, without a conflict", func(s specs.ClusterStatus) bool {
		for _, a := range s.Attachments {
			if len(a.Conflicts) > 0 {
				t.Fatalf("%+v has a conflict", a)
			}
		}
		return together(15 + free)(s)
	})
}

// lose ends a container without its hook, as a reboot does.
func (c *clusterContainer) lose() {
	_ = c.process.Kill()
	_, _ = c.process.Wait()
	_ = c.ns.Close()
}

// TestMemberWithoutPeers cuts each member of etcd from the others, while a node reaches all three: it
// still gets blocks, by the other two.
func TestMemberWithoutPeers(t *testing.T) {
	t.Parallel()
	m := newMemberLAN(t)
	n := m.newNode("a", parent, 2, map[string]string{"lan": clusterNetwork})
	n.mustStartOne("lan")
	for i, alone := range m.hosts {
		var mends []func()
		for _, peer := range m.hosts {
			if peer != alone {
				mends = append(mends, m.lose(alone.NS, peer.Address), m.lose(peer.NS, alone.Address))
			}
		}
		for range 9 { // more than a block
			n.mustStartOne("lan")
		}
		if t.Failed() {
			t.Fatalf("member %d was cut from the others", i)
		}
		for _, mend := range mends {
			mend()
		}
	}
	n.clusterIs("all containers", func(s specs.ClusterStatus) bool { return s.Error == "" && len(s.Attachments) == 28 })
}
