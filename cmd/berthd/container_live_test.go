package main

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// container is a namespace with an interface, recorded as the hook does it.
type container struct {
	*lab
	id     string
	ns     *testnet.NS
	record *state.Attachment
	mac    specs.MAC
}

// attachContainer creates container number n with its own address.
func (l *lab) attachContainer(id string, n byte) *container {
	l.t.Helper()
	return l.attachAs(id, n, func(*state.Attachment) {})
}

// attachAs is attach with a changed attachment.
func (l *lab) attachAs(id string, n byte, change func(*state.Attachment)) *container {
	l.t.Helper()
	c := &container{lab: l, id: id, ns: testnet.Namespace(l.t), mac: specs.MAC{2, 0, 0x5e, 0, 0x53, n}}
	host, target := l.openNamespace(l.host), l.openNamespace(c.ns)
	h, inside := openHandle(l.t, host), openHandle(l.t, target)
	cookie, err := target.Cookie()
	mustSucceed(l.t, err)
	nsid, err := h.AssignNSID(target)
	mustSucceed(l.t, err)
	p, err := h.Parent(parent)
	mustSucceed(l.t, err)
	c.record = &state.Attachment{
		Cookie: cookie, NSID: nsid, Containers: []string{id}, Annotations: map[string]string{"nerdctl/name": id + "-name"},
		Network: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: parent, ParentIndex: p.Index,
		Interface: "net1", MAC: c.mac, MTU: 1500, Phase: specs.PhaseAttaching, Created: time.Now(),
		Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 24)},
	}
	change(c.record)
	made, err := l.store.Hold(l.t.Context(), c.record.Key())
	mustSucceed(l.t, err)
	defer made()
	c.recordAttachment(func(tx *state.Tx) (err error) {
		c.record.Slot, err = tx.ClaimSlot(specs.DefaultMaxEndpoints + 1)
		return err
	})
	if maps, err := bpf.Open(l.bpffs); err == nil {
		mustSucceed(l.t, maps.Register(release.Endpoint(c.record)))
		mustSucceed(l.t, maps.Close())
	}
	is := network.Link{Name: "net1", ParentIndex: p.Index, Driver: c.record.Driver, Mode: c.record.Mode, MTU: 1500, Alias: c.record.Alias()}
	if is.Driver == specs.Macvlan {
		is.MAC = c.mac
	}
	link, err := h.CreateLink(target, is)
	mustSucceed(l.t, err)
	mustSucceed(l.t, target.SetIPv6("net1", network.IPv6Settings{}))
	mustSucceed(l.t, inside.SetUp(link.Index))
	for _, a := range c.record.Addresses {
		mustSucceed(l.t, inside.AddAddress(link.Index, a, true))
	}
	c.record.LinkIndex, c.record.Phase = link.Index, specs.PhaseAttached
	c.recordAttachment(nil)
	lanMAC := testnet.Link(l.t, l.lan, "wire").Attrs().HardwareAddr.String()
	testnet.Run(l.t, c.ns, "ip", "neigh", "replace", lanAddr, "lladdr", lanMAC, "dev", "net1")
	return c
}

func (c *container) recordAttachment(also func(*state.Tx) error) {
	c.t.Helper()
	mustSucceed(c.t, c.store.Update(c.t.Context(), func(tx *state.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return tx.Put(c.record)
	}))
}

// payload makes frames of 14 + 20 + 8 + 100 bytes.
var payload = make([]byte, 100)

const frameBytes = 142

// sendFrames sends datagrams to the machine on the LAN and waits for all of them.
func (c *container) sendFrames(n int) {
	c.t.Helper()
	testnet.In(c.t, c.ns, func() {
		conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(lanAddr), lanPort)))
		mustSucceed(c.t, err)
		defer conn.Close()
		for range n {
			_, err := conn.Write(payload)
			mustSucceed(c.t, err)
			mustSucceed(c.t, c.sink.SetReadDeadline(time.Now().Add(2*time.Minute)))
			_, _, err = c.sink.ReadFrom(make([]byte, 200))
			mustSucceed(c.t, err)
		}
	})
}

// waitSent checks the agent's count of the container's sent packets.
func (c *container) waitSent(n uint64) {
	c.t.Helper()
	want := specs.Count{Packets: n, Bytes: n * frameBytes}
	if got := c.endpointOf(c.id).Counters.Transmit.External.Unicast; got != want {
		c.t.Errorf("container %q sent %+v, want %+v", c.id, got, want)
	}
}

func (c *container) newReleaser() *release.Releaser {
	return &release.Releaser{Store: c.store, BPFFS: c.bpffs, Host: openHandle(c.t, c.openNamespace(c.host))}
}

func (l *lab) openNamespace(ns *testnet.NS) *network.Namespace {
	l.t.Helper()
	n, err := network.OpenPath(ns.Path())
	mustSucceed(l.t, err)
	l.t.Cleanup(func() { n.Close() })
	return n
}

func openHandle(t testing.TB, n *network.Namespace) *network.Handle {
	t.Helper()
	h, err := n.Open()
	mustSucceed(t, err)
	t.Cleanup(h.Close)
	return h
}

func mustSucceed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
