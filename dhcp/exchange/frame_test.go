package exchange

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"berth/dhcp"
	"berth/specs"
)

var (
	own    = specs.MAC{2, 0, 0, 0, 0, 1}
	server = specs.MAC{2, 0, 0, 0, 0, 0xfe}
)

// TestFrames compares frames with bytes whose checksums were computed independently.
func TestFrames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dhcp.Action
		want string
	}{
		"broadcast": {
			dhcp.Action{From: netip.IPv4Unspecified(), To: netip.MustParseAddr("255.255.255.255"), Payload: []byte("abc")},
			"ffffffffffff" + "020000000001" + "0800" +
				"4500001f000000004011" + "7acf" + "00000000" + "ffffffff" + "00440043000b" + "3aef" + "616263",
		},
		"to the servers' group": {
			dhcp.Action{From: netip.MustParseAddr("fe80::1"), To: netip.MustParseAddr("ff02::1:2"), Payload: []byte("ab")},
			"333300010002" + "020000000001" + "86dd" + "60000000000a1140" +
				"fe800000000000000000000000000001" + "ff020000000000000000000000010002" + "02220223000a" + "9cab" + "6162",
		},
	} {
		if got := hex.EncodeToString(frameOf(own, c.Action)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
	if f := frameOf(own, dhcp.Action{From: netip.IPv4Unspecified(), To: netip.MustParseAddr("192.0.2.1"), MAC: server}); !bytes.HasPrefix(f, server[:]) {
		t.Errorf("unicast frame %x", f)
	}
}

// toClient returns a frame from a server to the client: the ports are exchanged.
func toClient(from, to string, payload []byte) []byte {
	f := frameOf(server, dhcp.Action{From: netip.MustParseAddr(from), To: netip.MustParseAddr(to), Payload: payload, MAC: own})
	ports := ethernetHeader + ipv4Header
	if netip.MustParseAddr(to).Is6() {
		ports = ethernetHeader + ipv6Header
	}
	f[ports+1], f[ports+3] = f[ports+3], f[ports+1]
	return f
}

func TestReceivedFrames(t *testing.T) {
	t.Parallel()
	for _, f := range [][]byte{toClient("192.0.2.1", "255.255.255.255", []byte("hello")), toClient("fe80::1", "fe80::2", []byte("hello"))} {
		p, ok := packetOf(append(f, 0, 0, 0)) // the padding of a short frame
		if !ok || string(p.Payload) != "hello" || p.MAC != server {
			t.Errorf("%t, %+v", ok, p)
		}
		for n := range len(f) {
			if _, ok := packetOf(f[:n]); ok {
				t.Errorf("a frame cut to %d bytes is accepted", n)
			}
		}
	}
	bad := func(change func(f []byte)) {
		t.Helper()
		f := toClient("192.0.2.1", "255.255.255.255", []byte("hello"))
		change(f)
		if p, ok := packetOf(f); ok {
			t.Errorf("accepted %+v", p)
		}
	}
	bad(func(f []byte) { f[ethernetHeader+ipv4Header+3] = 69 })                       // another port
	bad(func(f []byte) { f[ethernetHeader+9] = 6 })                                   // TCP
	bad(func(f []byte) { f[ethernetHeader+10]++ })                                    // checksum
	bad(func(f []byte) { binary.BigEndian.PutUint16(f[ethernetHeader+24:], 0xffff) }) // length of the datagram
	bad(func(f []byte) { binary.BigEndian.PutUint16(f[12:], 0x0806) })                // ARP
}

func TestRouterAdvertisements(t *testing.T) {
	t.Parallel()
	f := toClient("fe80::1", "ff02::1", make([]byte, 16))
	f[ethernetHeader+6], f[ethernetHeader+7] = 58, 255
	body := f[ethernetHeader+ipv6Header:]
	body[0], body[5] = 134, 0xc0
	if p, ok := packetOf(f); !ok || !p.Router || !p.Managed || !p.Other {
		t.Errorf("%t, %+v", ok, p)
	}
	f[ethernetHeader+7] = 254 // it has passed a router
	if _, ok := packetOf(f); ok {
		t.Error("an advertisement of another link is accepted")
	}
}

func FuzzPacketOf(f *testing.F) {
	f.Add(toClient("192.0.2.1", "255.255.255.255", []byte("hello")))
	f.Add(toClient("fe80::1", "fe80::2", []byte("hello")))
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, ok := packetOf(frame)
		if ok && !p.Router && !bytes.Contains(frame, p.Payload) {
			t.Errorf("%+v of %x", p, frame)
		}
	})
}
