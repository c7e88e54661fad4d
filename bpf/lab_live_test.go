package bpf

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// lab is a host with a parent, and the LAN at the other end of its cable.
type lab struct {
	*bench
	lan       *testnet.NS
	parent    int
	next      uint32 // slot
	lanMAC    specs.MAC
	hostMAC   specs.MAC
	neighbour []neighbour
}

type neighbour struct {
	ip  netip.Addr
	mac specs.MAC
}

// container is a namespace with one macvlan interface, net1.
type container struct {
	*testnet.NS
	Endpoint
	ip  netip.Addr
	lab *lab
}

// newLab creates a lab whose cable is a veth pair: eth0 on the host, wire on the LAN. It
// has no IPv6, so only the test's own frames are on it.
func newLab(t testing.TB, o Options) *lab {
	t.Helper()
	host, lan := newQuietNamespace(t), newQuietNamespace(t)
	testnet.Veth(t, "eth0", host, "wire", lan)
	l := labOn(t, host, "eth0", o)
	l.lan, l.lanMAC = lan, macOf(t, lan, "wire")
	testnet.Address(t, lan, "wire", ipLAN.String()+"/24")
	l.neighbour = append(l.neighbour, neighbour{ipLAN, l.lanMAC})
	return l
}

// labOn creates a lab on an existing parent.
func labOn(t testing.TB, host *testnet.NS, parent string, o Options) *lab {
	t.Helper()
	testnet.Need(t, testnet.Macvlan)
	d := mustLoad(t, host, bpffs(t), o)
	l := &lab{
		bench:  &bench{TB: t, Datapath: d, ns: host, cookie: d.cookie},
		parent: testnet.Link(t, host, parent).Attrs().Index, next: 1, hostMAC: macOf(t, host, parent),
	}
	l.attachDatapath()
	return l
}

func (l *lab) attachDatapath() {
	l.Helper()
	testnet.In(l, l.ns, func() { must(l, l.Attach(l.parent, l.hostMAC)) })
}

// newQuietNamespace creates a namespace that sends nothing by itself: it has no IPv6, and silently
// receives datagrams to port 9.
func newQuietNamespace(t testing.TB) *testnet.NS {
	t.Helper()
	ns := testnet.Namespace(t)
	testnet.In(t, ns, func() {
		for _, name := range []string{"all", "default"} {
			must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0))
		}
		for _, name := range []string{"tcp_sack", "tcp_early_retrans"} { // equal headers, no needless retransmission
			must(t, os.WriteFile("/proc/sys/net/ipv4/"+name, []byte("0"), 0))
		}
		sink, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		t.Cleanup(func() { _ = unix.Close(sink) })
		must(t, unix.Bind(sink, &unix.SockaddrInet4{Port: 9}))
	})
	return ns
}

func macOf(t testing.TB, ns *testnet.NS, name string) specs.MAC {
	t.Helper()
	return specs.MAC(testnet.Link(t, ns, name).Attrs().HardwareAddr)
}

var macvlanModes = map[specs.Mode]netlink.MacvlanMode{
	specs.ModeBridge: netlink.MACVLAN_MODE_BRIDGE, specs.ModePrivate: netlink.MACVLAN_MODE_PRIVATE,
	specs.ModeVEPA: netlink.MACVLAN_MODE_VEPA, specs.ModePassthru: netlink.MACVLAN_MODE_PASSTHRU,
	specs.ModeSource: netlink.MACVLAN_MODE_SOURCE,
}

// container creates a container and registers it. All containers of the lab have each
// other's MAC, so that none sends ARP requests.
func (l *lab) container(mode specs.Mode) *container {
	l.Helper()
	c := l.stranger(mode)
	c.Slot = l.next
	l.next++
	must(l, l.maps.Register(c.Endpoint))
	return c
}

// stranger creates a container that does not belong to berth.
func (l *lab) stranger(mode specs.Mode) *container {
	l.Helper()
	c := &container{NS: newQuietNamespace(l), lab: l, ip: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + len(l.neighbour))})}
	c.Endpoint = Endpoint{ParentIndex: l.parent, Driver: specs.Macvlan, Mode: mode, Addresses: []netip.Addr{c.ip}}
	h := testnet.Netlink(l, l.ns)
	link := &netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "net1", ParentIndex: l.parent, Namespace: netlink.NsFd(c.FD())},
		Mode:      macvlanModes[mode],
	}
	if err := h.LinkAdd(link); err != nil {
		l.Fatalf("make macvlan in mode %s: %v", mode, err)
	}
	c.MAC = macOf(l, c.NS, "net1")
	testnet.In(l, c.NS, func() {
		cookie, err := netnsCookie()
		must(l, err)
		c.Cookie = cookie
	})
	testnet.Up(l, c.NS, "net1")
	testnet.Address(l, c.NS, "net1", c.ip.String()+"/24")
	must(l, testnet.Netlink(l, c.NS).RouteAdd(&netlink.Route{
		LinkIndex: testnet.Link(l, c.NS, "net1").Attrs().Index, Dst: netlink.NewIPNet(ipGroup.AsSlice()),
	}))
	for _, n := range l.neighbour {
		c.addStaticNeighbour(n)
	}
	l.addNeighbour(neighbour{c.ip, c.MAC})
	return c
}

// addNeighbour adds a neighbour to the LAN, and remembers it for later containers.
func (l *lab) addNeighbour(n neighbour) {
	l.Helper()
	if l.lan != nil {
		setNeighbour(l, l.lan, "wire", n)
	}
	l.neighbour = append(l.neighbour, n)
}

func (c *container) addStaticNeighbour(n neighbour) { setNeighbour(c.lab, c.NS, "net1", n) }

func setNeighbour(t testing.TB, ns *testnet.NS, name string, n neighbour) {
	t.Helper()
	must(t, testnet.Netlink(t, ns).NeighSet(&netlink.Neigh{
		LinkIndex: testnet.Link(t, ns, name).Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: n.ip.AsSlice(), HardwareAddr: n.mac[:],
	}))
}

// befriend adds the containers' MACs to each other's neighbour tables.
func befriend(all ...*container) {
	for _, a := range all {
		for _, b := range all {
			if a != b {
				a.addStaticNeighbour(neighbour{b.ip, b.MAC})
			}
		}
	}
}

// udpBytes returns the bytes on the wire of a datagram with n bytes.
func udpBytes(n int) uint64 { return uint64(14 + 20 + 8 + n) }

// sendUDP sends datagrams from a namespace.
func sendUDP(t testing.TB, ns *testnet.NS, to netip.Addr, datagrams, size int) {
	t.Helper()
	testnet.In(t, ns, func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
		for range datagrams {
			must(t, unix.Sendto(fd, make([]byte, size), 0, &unix.SockaddrInet4{Port: 9, Addr: to.As4()}))
		}
	})
}

// sendRaw sends a frame unchanged from an interface, past the stack.
func sendRaw(t testing.TB, ns *testnet.NS, name string, frame []byte) {
	t.Helper()
	index := testnet.Link(t, ns, name).Attrs().Index
	testnet.In(t, ns, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}))
	})
}

// inOrder runs a function that sends frames on one processor, of which each has a queue of received
// frames: they are received in the order in which they are sent.
func inOrder(t testing.TB, send func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &all))
	cpus := firstCPUs(t, all.Count())
	one.Set(cpus[rand.IntN(len(cpus))])
	must(t, unix.SchedSetaffinity(0, &one))
	defer func() { must(t, unix.SchedSetaffinity(0, &all)) }()
	send()
}

// expectCounts waits until a container has exactly these counts.
func (c *container) expectCounts(what string, want specs.Counters) {
	c.lab.Helper()
	expectCounters(c.lab, c.lab.maps, c.Slot, what, want)
}

func expectCounters(t testing.TB, m *Maps, slot uint32, what string, want specs.Counters) {
	t.Helper()
	var got specs.Counters
	testnet.Eventually(t, fmt.Sprintf("%s: as many frames as were sent", what), func() bool {
		var err error
		got, err = m.Counters(slot)
		must(t, err)
		return got.Receive.Total().Packets >= want.Receive.Total().Packets &&
			got.Transmit.Total().Packets >= want.Transmit.Total().Packets
	})
	if got != want {
		t.Errorf("%s: counted\n%+v, want\n%+v", what, got, want)
	}
}

// serveTCP accepts one connection in a namespace and reads it to its end.
func serveTCP(t testing.TB, ns *testnet.NS, ip netip.Addr) (netip.AddrPort, <-chan int64) {
	t.Helper()
	var listener net.Listener
	var err error
	testnet.In(t, ns, func() { listener, err = net.Listen("tcp", net.JoinHostPort(ip.String(), "0")) })
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	read := make(chan int64, 1)
	go func() {
		defer close(read)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		n, _ := conn.(*net.TCPConn).WriteTo(discard{}) // a short count fails the test
		read <- n
	}()
	return netip.MustParseAddrPort(listener.Addr().String()), read
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// sendTCP sends a number of bytes from one namespace to an address in another, and returns
// the number of bytes sent: more if segments were retransmitted.
func sendTCP(t testing.TB, from, to *testnet.NS, ip netip.Addr, size int64) (sent uint64) {
	t.Helper()
	at, read := serveTCP(t, to, ip)
	var conn net.Conn
	var err error
	testnet.In(t, from, func() { conn, err = net.Dial("tcp", at.String()) })
	must(t, err)
	defer conn.Close()
	_, err = conn.Write(make([]byte, size))
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	if n := <-read; n != size {
		t.Fatalf("%d of %d bytes arrived", n, size)
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		must(t, err)
		sent = info.Bytes_sent
	}))
	return sent
}
