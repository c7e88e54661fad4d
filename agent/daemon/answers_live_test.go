package daemon

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// asker is a container with a macvlan interface on a real parent, registered
// and recorded.
type asker struct {
	*testing.T
	ns  *testnet.NS
	mac net.HardwareAddr
}

// silentLAN creates a parent whose cable ends at a machine that has no address: it receives
// everything and answers nothing.
func silentLAN(t *testing.T, a *Agent) (parent string, lan *testnet.NS) {
	t.Helper()
	parent, lan = testnet.Unique("p"), testnet.Namespace(t)
	testnet.Veth(t, parent, testnet.Here(t), "wire", lan)
	attrs := testnet.Link(t, testnet.Here(t), parent).Attrs()
	mustSucceed(t, a.datapath.Attach(attrs.Index, specs.MAC(attrs.HardwareAddr)))
	return parent, lan
}

func newAsker(t *testing.T, a *Agent, parent, id string, slot uint32) *asker {
	t.Helper()
	c := (&asker{T: t, ns: testnet.Namespace(t)}).withInterface(a, parent, "net1", id, slot)
	testnet.Run(t, c.ns, "ip", "route", "add", "default", "dev", "net1")
	return c
}

// withInterface gives the namespace of an asker a further interface, and returns the asker that has it.
func (c *asker) withInterface(a *Agent, parent, ifname, id string, slot uint32) *asker {
	t := c.T
	t.Helper()
	testnet.Run(t, testnet.Here(t), "ip", "link", "add", "link", parent, "name", ifname, "netns", c.ns.Path(), "type", "macvlan", "mode", "bridge")
	testnet.Up(t, c.ns, ifname)
	mac := testnet.Link(t, c.ns, ifname).Attrs().HardwareAddr
	ns, err := network.OpenPath(c.ns.Path())
	mustSucceed(t, err)
	defer ns.Close()
	at := scaleAttachment(slot)
	at.Containers, at.Interface, at.MAC, at.Addresses = []string{id}, ifname, specs.MAC(mac), nil
	at.Cookie, err = ns.Cookie()
	mustSucceed(t, err)
	at.Parent, at.ParentIndex = parent, testnet.Link(t, testnet.Here(t), parent).Attrs().Index
	mustSucceed(t, a.store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(at) }))
	mustSucceed(t, a.datapath.Maps().Register(release.Endpoint(at)))
	return &asker{T: t, ns: c.ns, mac: mac}
}

// sendFrames sends frames with the given addresses from an interface of a namespace.
func sendFrames(t *testing.T, ns *testnet.NS, name string, to, from net.HardwareAddr, frames int) {
	t.Helper()
	index := testnet.Link(t, ns, name).Attrs().Index
	frame := append(append(append([]byte{}, to...), from...), make([]byte, 60)...) // without a protocol
	frame[12], frame[13] = 0x88, 0xb5                                              // experimental (IEEE 802)
	testnet.In(t, ns, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		mustSucceed(t, err)
		defer unix.Close(fd)
		for range frames {
			mustSucceed(t, unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}))
		}
	})
}

// TestUnansweredEndpointIsReported lets containers ask a LAN that answers only one of them.
func TestUnansweredEndpointIsReported(t *testing.T) {
	t.Parallel()
	a := newTestAgent(t, 64)
	parent, lan := silentLAN(t, a)
	wire := testnet.Link(t, lan, "wire").Attrs().HardwareAddr
	all := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	group := net.HardwareAddr{0x01, 0, 0x5e, 0x7c, 0, 1}
	unheard, seeker := newAsker(t, a, parent, "unheard", 1), newAsker(t, a, parent, "seeker", 2)
	answered, speaker := newAsker(t, a, parent, "answered", 3), newAsker(t, a, parent, "speaker", 4)
	newAsker(t, a, parent, "idle", 5)
	beside := answered.withInterface(a, parent, "net2", "beside", 6) // answers arrive by the other interface
	w := &answers{byKey: make(map[string]*asking)}
	for look := range askedIntervals + 3 {
		sendFrames(t, unheard.ns, "net1", wire, unheard.mac, askedLeast)
		sendFrames(t, seeker.ns, "net1", all, seeker.mac, askedLeast)
		sendFrames(t, answered.ns, "net1", wire, answered.mac, askedLeast)
		sendFrames(t, beside.ns, "net2", wire, beside.mac, askedLeast)
		sendFrames(t, speaker.ns, "net1", group, speaker.mac, askedLeast)
		if look == 1 {
			sendFrames(t, lan, "wire", answered.mac, wire, 1)
			slot3 := func() bool {
				c, err := a.datapath.Maps().Counters(3)
				return err == nil && c.Receive.External.Unicast.Packets > 0
			}
			testnet.Eventually(t, "the answer", slot3)
		}
		mustSucceed(t, a.reportUnanswered(t.Context(), w))
	}
	eventsOf := make(map[string]int)
	found, _, _, _ := a.ring.Since(0, 100)
	for _, e := range found {
		if e.Kind == specs.Unanswered {
			eventsOf[e.Sender.ContainerID]++
		}
	}
	if len(eventsOf) != 2 || eventsOf["unheard"] != 1 || eventsOf["seeker"] != 1 {
		t.Errorf("eventsOf %v, want unheard and seeker, once each", eventsOf)
	}
	for slot, want := range []uint64{1: 1, 2: 1, 3: 0, 4: 0, 5: 0, 6: 0} {
		broken, err := a.datapath.Maps().Violations(uint32(slot))
		mustSucceed(t, err)
		if got := broken[specs.Unanswered].Packets; got != want {
			t.Errorf("slot %d is counted %d times, want %d", slot, got, want)
		}
	}
}
