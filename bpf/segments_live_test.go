package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// tunnels are the kinds of tunnel inside which the kernel segments super-packets, by the
// arguments after "ip link add NAME type".
var tunnels = map[string]string{
	"vxlan":          "vxlan id 7 dstport 4789",
	"vxlan, a port":  "vxlan id 7 dstport 8472 udpcsum",
	"geneve":         "geneve id 7",
	"geneve, a sum":  "geneve id 7 udpcsum",
	"gre":            "gre",
	"gre with a sum": "gre csum",
	"gre in order":   "gre oseq",
	"gre in UDP":     "gre encap gue encap-sport 5556 encap-dport 5556",
	"gre with a key": "gre key 7",
	"gretap":         "gretap",
	"ipip":           "ipip",
	"ipip in UDP":    "ipip encap fou encap-sport 5555 encap-dport 5555",
	"ipip in GUE":    "ipip encap gue encap-sport 5557 encap-dport 5557",
	"sit":            "sit mode ipip",

	"sit of IPv6":         "sit mode ip6ip",
	"vxlan over IPv6":     "vxlan id 7 dstport 4789",
	"geneve over IPv6":    "geneve id 7",
	"gre over IPv6":       "ip6gre",
	"gre, key, over IPv6": "ip6gre key 7 csum",
	"gretap over IPv6":    "ip6gretap",
	"ipip over IPv6":      "ip6tnl mode ipip6",
	"IPv6 over IPv6":      "ip6tnl mode ip6ip6",
	"IPv6, no limit":      "ip6tnl mode ip6ip6 encaplimit none",
}

// carried returns the addresses of a tunnel's ends of the families that it carries, first the container's.
func carried(kind string) (all [][2]netip.Addr) {
	if !strings.Contains(kind, "ip6ip") {
		all = append(all, [2]netip.Addr{netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("198.51.100.1")})
	}
	if strings.Contains(kind, "ip6ip") || !strings.Contains(kind, "ipip") {
		all = append(all, [2]netip.Addr{netip.MustParseAddr("2001:db8:9::2"), netip.MustParseAddr("2001:db8:9::1")})
	}
	return all
}

// addressOn adds an address to a link, in a network of 64 bits, or 24 of IPv4.
func addressOn(t *testing.T, ns *testnet.NS, link string, a netip.Addr) {
	t.Helper()
	bits := 24
	if a.Is6() {
		bits = 64
		testnet.Run(t, ns, "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/"+link+"/disable_ipv6")
	}
	testnet.Address(t, ns, link, netip.PrefixFrom(a, bits).String())
}

// TestExactTunnels sends TCP in super-packets through each kind of tunnel, in none, one and
// two VLANs of the container's own, both ways, and compares the counts with a capture with
// offloads off.
func TestExactTunnels(t *testing.T) {
	t.Parallel()
	for vlans := range 3 {
		t.Run(fmt.Sprintf("vlans=%d", vlans), func(t *testing.T) {
			t.Parallel()
			if vlans > 0 {
				testnet.Need(t, testnet.VLAN)
			}
			l := newLab(t, Options{})
			a := l.container(specs.ModeBridge)
			near, far := stackVLANs(t, a.NS, "net1", a.ip, vlans, 2), stackVLANs(t, l.lan, "wire", ipLAN, vlans, 1)
			w := l.captureWire()
			near6, far6 := over6(t, a.NS, near, 2), over6(t, l.lan, far, 1)
			for name, kind := range tunnels {
				t.Run(name, func(t *testing.T) {
					if !strings.HasPrefix(kind, "vxlan") {
						testnet.Need(t, testnet.Tunnels)
					}
					near, far := near, far
					if strings.Contains(name, "over IPv6") || strings.HasPrefix(kind, "ip6") {
						near, far = near6, far6
					}
					addTunnel(t, a.NS, kind, near, far)
					addTunnel(t, l.lan, kind, far, near)
					for _, ends := range carried(kind) {
						addressOn(t, a.NS, "t0", ends[0])
						addressOn(t, l.lan, "t0", ends[1])
						sendTCP(t, a.NS, l.lan, ends[1], 1<<20)
						sendTCP(t, l.lan, a.NS, ends[0], 1<<20)
					}
					waitSettled(t, l, a)
					w.checkCounts(t, a, vlans)
					for _, ns := range []*testnet.NS{a.NS, l.lan} {
						testnet.Run(t, ns, "ip", "link", "del", "t0")
					}
				})
			}
		})
	}
}

// stackVLANs stacks VLANs on a link, and returns the address at its top.
func stackVLANs(t *testing.T, ns *testnet.NS, link string, bare netip.Addr, vlans int, host byte) netip.Addr {
	t.Helper()
	if vlans == 0 {
		return bare
	}
	for i := range vlans {
		name := "v" + strconv.Itoa(i)
		testnet.Run(t, ns, "ip", "link", "add", "link", link, "name", name, "type", "vlan", "id", strconv.Itoa(7+i))
		testnet.Up(t, ns, name)
		link = name
	}
	top := netip.AddrFrom4([4]byte{203, 0, 113, host})
	testnet.Address(t, ns, link, top.String()+"/24")
	return top
}

// over6 adds an IPv6 address to the link that has an address, and returns it.
func over6(t *testing.T, ns *testnet.NS, beside netip.Addr, host byte) netip.Addr {
	t.Helper()
	top := netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 5: 8, 15: host})
	for line := range strings.Lines(testnet.Run(t, ns, "ip", "-o", "-4", "addr", "show", "to", beside.String())) {
		addressOn(t, ns, strings.Fields(line)[1], top)
		return top
	}
	t.Fatalf("no link has %s", beside)
	return top
}

// addTunnel creates one end of a tunnel, t0.
func addTunnel(t *testing.T, ns *testnet.NS, kind string, local, remote netip.Addr) {
	t.Helper()
	words := strings.Fields(kind)
	if at := slices.Index(words, "encap"); at > 0 {
		how := map[string][]string{"fou": {"ipproto", "4"}, "gue": {"gue"}}[words[at+1]]
		port := []string{"fou", "add", "port", words[len(words)-1]}
		testnet.Run(t, ns, "ip", append(port, how...)...)
	}
	add := append([]string{"link", "add", "t0", "mtu", "1400", "type", words[0]}, words[1:]...)
	add = append(add, "remote", remote.String())
	if words[0] != "geneve" {
		add = append(add, "local", local.String())
	}
	testnet.Run(t, ns, "ip", add...)
	testnet.Up(t, ns, "t0")
}

// checkCounts checks that a container's counts equal the traffic of the cable: the capture shows
// frames without the outermost tag, the counters without any.
func (w *wireTruth) checkCounts(t *testing.T, c *container, vlans int) {
	t.Helper()
	var want specs.Counters
	testnet.Eventually(t, "as many frames as the cable carried", func() bool {
		w.drainCapture()
		want = w.countersOf(&c.Endpoint, nil)
		got := c.lab.counters(c.Slot)
		return got.Transmit.External.Unicast.Packets == want.Transmit.External.Unicast.Packets &&
			got.Receive.External.Unicast.Packets == want.Receive.External.Unicast.Packets
	})
	within := uint64(4 * max(vlans-1, 0))
	for _, n := range []*specs.Count{
		&want.Transmit.External.Unicast, &want.Transmit.External.Broadcast, &want.Transmit.External.Multicast,
		&want.Receive.External.Unicast,
	} {
		n.Bytes -= within * n.Packets
	}
	if got := c.lab.counters(c.Slot); got != want {
		t.Errorf("counted\n%+v, the cable carried\n%+v", got, want)
	}
}

// superPacket is a frame that the kernel must segment (struct virtio_net_hdr).
type superPacket struct {
	gso   byte   // VIRTIO_NET_HDR_GSO_*
	size  uint16 // payload of each segment
	sum   uint16 // offset of the checksum in the transport header
	v     int
	proto byte
	head  []byte // the transport header
	jumbo bool   // it has the header that the kernel puts into IPv6 packets of more than 64 KiB (BIG TCP)
}

var superPackets = map[string]superPacket{
	"TCP over IPv4":           {1, 1000, 16, 4, 6, tcp(12, 0), false},
	"TCP over IPv6":           {4, 1000, 16, 6, 6, tcp(0, 0), false},
	"UDP in fragments":        {3, 1000, 6, 4, 17, make([]byte, 8), false},
	"UDP over IPv4":           {5, 1000, 6, 4, 17, make([]byte, 8), false},
	"UDP over IPv6":           {5, 1000, 6, 6, 17, make([]byte, 8), false},
	"UDP over IPv6, in parts": {3, 1000, 6, 6, 17, make([]byte, 8), false},
	"TCP over IPv6, jumbo":    {4, 1000, 16, 6, 6, tcp(12, 0), true},
}

// jumboHeader returns a hop-by-hop header with the length of a packet (RFC 2675) before TCP.
func jumboHeader(payload int) []byte {
	return binary.BigEndian.AppendUint32([]byte{6, 0, 0xc2, 4}, uint32(8+payload))
}

// frame returns the super-packet in a number of tags, behind its virtio header.
func (s superPacket) frame(to, from specs.MAC, vlans int, payload int) []byte {
	upper := append(slices.Clone(s.head), make([]byte, payload)...)
	if s.proto == 17 {
		binary.BigEndian.PutUint16(upper[4:], uint16(len(upper)))
	}
	ethertype, ip := uint16(0x800), ip4(s.proto, ipA, ipLAN, upper)
	if s.v == 6 {
		ethertype, ip = 0x86dd, ip6(s.proto, ip6A, ip6LAN, upper)
		if s.jumbo {
			ip = ip6(0, ip6A, ip6LAN, append(jumboHeader(len(upper)), upper...))
			copy(ip[4:], []byte{0, 0})
		}
	} else {
		withChecksum4(ip)
	}
	frame := ethernet(to, from, ethertype, ip)
	for range vlans {
		frame = tagFrame(7, frame)
	}
	headers := len(frame) - payload
	virtio := binary.NativeEndian.AppendUint16([]byte{1, s.gso}, uint16(headers))
	virtio = binary.NativeEndian.AppendUint16(virtio, s.size)
	virtio = binary.NativeEndian.AppendUint16(virtio, uint16(headers-len(s.head)))
	return append(binary.NativeEndian.AppendUint16(virtio, s.sum), frame...)
}

// TestExactSegments sends super-packets of each kind by a packet socket, in none, one and
// two tags, and compares the counts with a capture. A kernel may refuse a kind that it
// cannot segment, and 6.1 refuses those in tags; all accept TCP without.
func TestExactSegments(t *testing.T) {
	t.Parallel()
	for vlans := range 3 {
		t.Run(fmt.Sprintf("tags=%d", vlans), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, Options{})
			a := l.container(specs.ModeBridge)
			testnet.Run(t, a.NS, "ip", "link", "set", "net1", "gso_max_size", "200000") // else net1 segments
			w := l.captureWire()
			for name, s := range superPackets {
				if s.jumbo && !removesJumboHeader(t) {
					continue
				}
				for _, payload := range s.payloads() {
					err := sendSuper(t, a.NS, s.frame(l.lanMAC, a.MAC, vlans, payload))
					if err == nil {
						continue
					}
					if s.proto == unix.IPPROTO_TCP && vlans == 0 && !s.jumbo {
						t.Fatalf("%s: %v", name, err)
					}
					t.Logf("%s: this kernel makes none: %v", name, err)
					w.forget(a) // it may have been counted before it was refused
				}
				w.checkCounts(t, a, vlans)
			}
		})
	}
}

// removesJumboHeader reports whether the kernel removes such a header when it segments. 6.18 does; 7.2 puts
// none into its own packets, and leaves that of a packet socket.
func removesJumboHeader(t *testing.T) bool {
	t.Helper()
	var name unix.Utsname
	var major int
	must(t, unix.Uname(&name))
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.", &major)
	must(t, err)
	return major < 7
}

// payloads returns the sizes of the payloads to send.
func (s superPacket) payloads() []int {
	if s.jumbo {
		return []int{66_000, 100_001}
	}
	return []int{2000, 3001, 5500, 30_000}
}

// forget forgets the frames so far.
func (w *wireTruth) forget(c *container) {
	must(w, c.lab.maps.Zero(c.Slot))
	w.drainCapture()
	clear(w.frames)
}

// sendSuper sends a frame with its virtio header from net1.
func sendSuper(t *testing.T, ns *testnet.NS, frame []byte) (err error) {
	t.Helper()
	index := testnet.Link(t, ns, "net1").Attrs().Index
	testnet.In(t, ns, func() {
		var fd int
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
		err = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index})
	})
	return err
}

// emptyDatapath returns the objects, not yet loaded, and directories for their pins.
func emptyDatapath(t *testing.T) (*ebpf.CollectionSpec, pins) {
	t.Helper()
	spec, err := loadDatapath()
	must(t, err)
	into := pinsUnder(bpffs(t))
	must(t, into.makeDirectories())
	return spec, into
}

// TestProgramsFitTheKernel loads all programs with the kernel's types. The stack of nested calls
// is what older kernels bound most: they round that of each call up to 32 bytes.
func TestProgramsFitTheKernel(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Types)
	spec, into := emptyDatapath(t)
	objects, err := loadInto(spec, into, nil, nil)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	must(t, objects.Close())
}

// TestWithoutKernelTypes loads the programs as on a kernel without BTF: all of them, with
// the sibling program that does nothing.
func TestWithoutKernelTypes(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	spec, into := emptyDatapath(t)
	objects, err := assignWithout(spec, into, errors.New("no types"))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	must(t, objects.Close())
}
