package hook

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"berth/internal/testnet"
)

// addEngineLink gives a container a macvlan of its engine's own on the parent, as docker does before
// the hook runs, and returns a socket that sends on it.
func (h *host) addEngineLink(b *box) (socket *net.UDPConn) {
	h.Helper()
	on := testnet.Here(h.T)
	l := &netlink.Macvlan{Mode: netlink.MACVLAN_MODE_BRIDGE, LinkAttrs: netlink.LinkAttrs{
		Name: "eth0", ParentIndex: testnet.Link(h.T, on, h.parent).Attrs().Index, Namespace: netlink.NsFd(b.ns.FD())}}
	if err := testnet.Netlink(h.T, on).LinkAdd(l); err != nil {
		h.Fatal(err)
	}
	testnet.Address(h.T, b.ns, "eth0", "198.51.100.7/24")
	testnet.Up(h.T, b.ns, "eth0")
	testnet.Run(h.T, b.ns, "ip", "neigh", "replace", "198.51.100.1", "lladdr", "02:00:5e:00:53:01", "dev", "eth0")
	testnet.In(h.T, b.ns, func() {
		var err error
		if socket, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("198.51.100.1:9"))); err != nil {
			h.Fatal(err)
		}
	})
	h.Cleanup(func() { socket.Close() })
	return socket
}

// TestOtherInterfaceSendsWhileAttaching lets another interface of a container send after each
// step of the hook: its frames are never forged.
func TestOtherInterfaceSendsWhileAttaching(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan, testnet.Types)
	h := newHost(t)
	d := h.datapath()
	h.network("lan", lan)
	b := h.box("web", "lan")
	socket := h.addEngineLink(b)
	sent := 0
	h.step = func(string) error {
		sent++
		_, err := socket.Write([]byte("frame"))
		return err
	}
	h.mustStart(b)
	broken, err := d.Maps().Violations(h.firstOf("web").Slot)
	if err != nil || len(broken) != 0 || sent == 0 {
		t.Errorf("violations %v, %v, after %d frames, want none", broken, err, sent)
	}
}

// TestOtherInterfaceSendsAfterRelease lets another interface of a namespace send after berth's is
// released, before its keys are deleted: its frames are not forged.
func TestOtherInterfaceSendsAfterRelease(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan, testnet.Types)
	for name, release := range map[string]func(*host, *box){
		"a disconnection": func(h *host, b *box) {
			if done, err := h.hook().Detach(h.Context(), b.id, Which{}); err != nil || len(done) != 1 {
				h.Fatalf("released %v, %v, want one", done, err)
			}
		},
		"the end of a container that shared its namespace": func(h *host, b *box) { h.mustStop(b) },
	} {
		h := newHost(t)
		d := h.datapath()
		h.network("lan", lan)
		b := h.box("web", "lan")
		socket := h.addEngineLink(b)
		h.mustStart(b)
		slot := h.firstOf("web").Slot
		release(h, b)
		for range 3 {
			if _, err := socket.Write([]byte("frame")); err != nil {
				t.Fatal(err)
			}
		}
		if broken, err := d.Maps().Violations(slot); err != nil || len(broken) != 0 {
			t.Errorf("%s: violations %v, %v, want none", name, broken, err)
		}
	}
}
