package states

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"berth/bpf"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// frames is the number of frames that a container sends for checkCounted.
const frames = 3

// checkCounted checks that the frames of every container are counted exactly once.
func (w *world) checkCounted() {
	w.Helper()
	if w.agent == nil {
		return
	}
	w.waitAgent()
	maps, err := bpf.Open(w.dirs.BPFFS)
	must(w.T, err)
	defer maps.Close()
	for _, r := range w.records() {
		b := w.boxes[r.Containers[0]]
		if b == nil || b.dead || !b.on[r.Network] || r.Phase != specs.PhaseAttached {
			continue
		}
		testnet.Eventually(w.T, "the frames of "+b.id+" on "+r.Interface+" are counted", func() bool {
			return w.sendsCounted(maps, b, r)
		})
	}
}

// sendsCounted sends frames from an interface and reports whether all of them were counted
// exactly once. It retries, because the agent may still be attaching to a new parent.
func (w *world) sendsCounted(maps *bpf.Maps, b *box, r *state.Attachment) bool {
	w.Helper()
	before := w.sent(maps, r.Slot)
	w.send(b, r)
	after := w.sent(maps, r.Slot)
	if after > before+frames {
		w.Fatalf("%s on %s: counted %d frames, want %d", b.id, r.Interface, after-before, frames)
	}
	return after == before+frames
}

func (w *world) sent(maps *bpf.Maps, slot uint32) uint64 {
	w.Helper()
	c, err := maps.Counters(slot)
	must(w.T, err)
	return c.Transmit.External.Unicast.Packets
}

// send sends frames from an interface of a container to the LAN, whose neighbour
// entries are permanent, and waits until all have arrived.
func (w *world) send(b *box, r *state.Attachment) {
	w.Helper()
	wire := testnet.Link(w.T, w.lan, "wire").Attrs().HardwareAddr.String()
	testnet.Run(w.T, b.ns, "ip", "neigh", "replace", lanAddr, "lladdr", wire, "dev", r.Interface, "nud", "permanent")
	from := net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.Addresses[0].Addr(), 0))
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(fmt.Sprintf("%s:%d", lanAddr, lanPort)))
	var conn *net.UDPConn
	var err error
	testnet.In(w.T, b.ns, func() { conn, err = dialOn(w.Context(), r.Interface, from, to) })
	must(w.T, err)
	defer conn.Close()
	buf := make([]byte, 64)
	for range frames {
		_, err := conn.Write([]byte("states"))
		must(w.T, err)
		must(w.T, w.sink.SetReadDeadline(time.Now().Add(2*time.Minute)))
		_, _, err = w.sink.ReadFrom(buf)
		must(w.T, err)
	}
}

// dialOn connects from an interface.
func dialOn(ctx context.Context, ifname string, from, to *net.UDPAddr) (*net.UDPConn, error) {
	d := net.Dialer{LocalAddr: from, Control: bindTo(ifname)}
	c, err := d.DialContext(ctx, "udp4", to.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}
