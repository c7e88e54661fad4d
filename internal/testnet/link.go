package testnet

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Veth makes a veth pair, one end in each namespace, both up.
func Veth(t testing.TB, nameA string, a *NS, nameB string, b *NS) {
	t.Helper()
	h := Netlink(t, a)
	link := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: nameA},
		PeerName:      nameB,
		PeerNamespace: netlink.NsFd(b.FD()),
	}
	if err := h.LinkAdd(link); err != nil {
		t.Fatalf("make veth %s and %s: %v", nameA, nameB, err)
	}
	t.Cleanup(func() {
		if l, err := h.LinkByName(nameA); err == nil {
			_ = h.LinkDel(l) // a test may have deleted it, or its namespace
		}
	})
	Up(t, a, nameA)
	Up(t, b, nameB)
}

// Bridge makes a bridge of the ports, which are in the same namespace, and sets all
// of them up.
func Bridge(t testing.TB, ns *NS, name string, ports ...string) {
	t.Helper()
	h := Netlink(t, ns)
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := h.LinkAdd(br); err != nil {
		t.Fatalf("make bridge %s: %v", name, err)
	}
	t.Cleanup(func() { _ = h.LinkDel(br) }) // its namespace may have ended
	for _, port := range ports {
		if err := h.LinkSetMasterByIndex(Link(t, ns, port), br.Index); err != nil {
			t.Fatalf("put %s into bridge %s: %v", port, name, err)
		}
		Up(t, ns, port)
	}
	Up(t, ns, name)
}

// Hairpin makes a port of a bridge reflect frames, as a switch of IEEE 802.1Qbg does.
func Hairpin(t testing.TB, ns *NS, port string) {
	t.Helper()
	if err := Netlink(t, ns).LinkSetHairpin(Link(t, ns, port), true); err != nil {
		t.Fatalf("hairpin of %s: %v", port, err)
	}
}

// Link returns a link by its name.
func Link(t testing.TB, ns *NS, name string) netlink.Link {
	t.Helper()
	l, err := Netlink(t, ns).LinkByName(name)
	if err != nil {
		t.Fatalf("find %s: %v", name, err)
	}
	return l
}

// Up sets a link up.
func Up(t testing.TB, ns *NS, name string) {
	t.Helper()
	if err := Netlink(t, ns).LinkSetUp(Link(t, ns, name)); err != nil {
		t.Fatalf("set %s up: %v", name, err)
	}
}

// Address adds an address to a link, without duplicate address detection.
func Address(t testing.TB, ns *NS, name, prefix string) {
	t.Helper()
	p := netip.MustParsePrefix(prefix)
	addr := &netlink.Addr{IPNet: &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}}
	if p.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := Netlink(t, ns).AddrAdd(Link(t, ns, name), addr); err != nil {
		t.Fatalf("add %s to %s: %v", prefix, name, err)
	}
}

// TapDevice is a link whose wire the test controls: Read returns the frames that the
// link sends, and the link receives the frames of Write. Frames start at the Ethernet
// header.
type TapDevice struct {
	t    testing.TB
	file *os.File
}

// Tap makes a tap device and sets it up.
func Tap(t testing.TB, ns *NS, name string) *TapDevice {
	t.Helper()
	var fd int
	var err error
	In(t, ns, func() { fd, err = openTap(name) })
	if err != nil {
		t.Fatalf("make tap %s: %v", name, err)
	}
	tap := &TapDevice{t: t, file: os.NewFile(uintptr(fd), name)}
	t.Cleanup(func() { _ = tap.file.Close() })
	Up(t, ns, name)
	return tap
}

func openTap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		// With fragments, frames arrive as from a driver: without the writer's socket
		// (tun_napi_alloc_frags in drivers/net/tun.c).
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_NAPI | unix.IFF_NAPI_FRAGS)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

// Write sends a frame to the link.
func (tap *TapDevice) Write(frame []byte) {
	tap.t.Helper()
	if _, err := tap.file.Write(frame); err != nil {
		tap.t.Fatalf("write to the tap: %v", err)
	}
}

// Read returns the next frame from the link that matches, or nil if none arrives
// within the time.
func (tap *TapDevice) Read(within time.Duration, match func(frame []byte) bool) []byte {
	tap.t.Helper()
	if err := tap.file.SetReadDeadline(time.Now().Add(within)); err != nil {
		tap.t.Fatal(err)
	}
	return nextFrame(tap.t, tap.file, match)
}

// nextFrame reads frames until one matches or the file's deadline passes.
func nextFrame(t testing.TB, f *os.File, match func([]byte) bool) []byte {
	t.Helper()
	buf := make([]byte, 1<<16)
	for {
		n, err := f.Read(buf)
		if os.IsTimeout(err) {
			return nil
		}
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		if match(buf[:n]) {
			return append([]byte(nil), buf[:n]...)
		}
	}
}
