package network

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// unhex parses bytes in hexadecimal, with blanks and newlines between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	v4 = netip.MustParseAddr("192.0.2.10")
	v6 = netip.MustParseAddr("2001:db8::12:3456")
)

// The bytes were written by hand from the RFCs' figures; the checksums were
// computed without this code.
func TestFramesToTheByte(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"ARP probe (RFC 5227 2.1.1)": {arpProbe(mac(1), v4), `
			ffffffffffff 02005e005301 0806
			0001 0800 06 04 0001 02005e005301 00000000 000000000000 c000020a`},
		"ARP announcement (RFC 5227 2.3)": {arpAnnouncement(mac(1), v4), `
			ffffffffffff 02005e005301 0806
			0001 0800 06 04 0001 02005e005301 c000020a 000000000000 c000020a`},
		"neighbour solicitation (RFC 4862 5.4.2)": {ndProbe(mac(1), v6), `
			3333ff123456 02005e005301 86dd
			60000000 0018 3a ff
			00000000000000000000000000000000
			ff0200000000000000000001ff123456
			87 00 e41e 00000000 20010db8000000000000000000123456`},
		"neighbour advertisement (RFC 4861 7.2.6)": {ndAnnouncement(mac(1), v6), `
			333300000001 02005e005301 86dd
			60000000 0020 3a ff
			20010db8000000000000000000123456
			ff020000000000000000000000000001
			88 00 df5b 20000000 20010db8000000000000000000123456
			02 01 02005e005301`},
	} {
		if want := unhex(t, c.want); hex.EncodeToString(c.got) != hex.EncodeToString(want) {
			t.Errorf("%s:\n got %x\nwant %x", name, c.got, want)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	if got := solicitedNode(v6); got.String() != "ff02::1:ff12:3456" {
		t.Errorf("solicited-node group %s", got)
	}
	if got := groupMAC(solicitedNode(v6)); got != (specs.MAC{0x33, 0x33, 0xff, 0x12, 0x34, 0x56}) {
		t.Errorf("MAC of it %s", got)
	}
}

// patchFrame returns a frame with some bytes changed.
func patchFrame(frame []byte, at int, with ...byte) []byte {
	f := append([]byte(nil), frame...)
	copy(f[at:], with)
	return f
}

// patchChecksummed returns an ND frame with some bytes changed and a correct checksum.
func patchChecksummed(frame []byte, at int, with ...byte) []byte {
	f := patchFrame(patchFrame(frame, at, with...), ethernetHeader+ipv6Header+2, 0, 0)
	sum := icmpChecksum(f[ethernetHeader:])
	return patchFrame(f, ethernetHeader+ipv6Header+2, byte(sum>>8), byte(sum))
}

func TestWhatIsAConflict(t *testing.T) {
	t.Parallel()
	const index = 7
	us := Claimant{Index: index, Name: "net1", MAC: mac(1), Addresses: []netip.Addr{v4, v6}}
	them := mac(9)
	nd := ethernetHeader + ipv6Header // offset of the ICMPv6 message
	reply := patchFrame(arpAnnouncement(them, v4), ethernetHeader+7, 2)
	for _, c := range []struct {
		name  string
		index int
		frame []byte
		want  specs.MAC // zero if there is no conflict
	}{
		{"reply", index, reply, them},
		{"reply to somebody else", index, patchFrame(reply, ethernetHeader+24, 192, 0, 2, 1), them},
		{"announcement", index, arpAnnouncement(them, v4), them},
		{"request by the address", index, arpFrame(them, v4, v4.Next()), them},
		{"request for the address", index, arpFrame(them, v4.Next(), v4), specs.MAC{}},
		{"probe", index, arpProbe(them, v4), them},
		{"probe for another", index, arpProbe(them, v4.Next()), specs.MAC{}},
		{"probe on another link", index + 1, arpProbe(them, v4), specs.MAC{}},
		{"own probe, reflected", index, arpProbe(us.MAC, v4), specs.MAC{}},
		{"own announcement, reflected", index, arpAnnouncement(us.MAC, v4), specs.MAC{}},
		{"reply from 0.0.0.0", index, patchFrame(arpProbe(them, v4), ethernetHeader+7, 2), specs.MAC{}},
		{"ARP cut short", index, reply[:len(reply)-1], specs.MAC{}},
		{"ARP of another hardware", index, patchFrame(reply, ethernetHeader+1, 6), specs.MAC{}},
		{"ARP of another protocol", index, patchFrame(reply, ethernetHeader+2, 0x86, 0xdd), specs.MAC{}},
		{"advertisement", index, ndAnnouncement(them, v6), them},
		{"advertisement whose option names another", index, patchChecksummed(ndAnnouncement(mac(8), v6), nd+26, them[:]...), them},
		{"advertisement without options", index, noOptions(ndAnnouncement(them, v6)), them},
		{"advertisement of another", index, ndAnnouncement(them, v6.Next()), specs.MAC{}},
		{"advertisement through a router", index, patchFrame(ndAnnouncement(them, v6), ethernetHeader+7, 254), specs.MAC{}},
		{"advertisement with a wrong checksum", index, patchFrame(ndAnnouncement(them, v6), nd+2, 0, 0), specs.MAC{}},
		{"advertisement with a code", index, patchChecksummed(ndAnnouncement(them, v6), nd+1, 1), specs.MAC{}},
		{"advertisement cut short", index, ndAnnouncement(them, v6)[:nd+23], specs.MAC{}},
		{"solicitation that probes", index, ndProbe(them, v6), them},
		{"solicitation that asks", index, patchChecksummed(ndProbe(them, v6), ethernetHeader+8, v6.Next().AsSlice()...), specs.MAC{}},
		{"own solicitation, reflected", index, ndProbe(us.MAC, v6), specs.MAC{}},
		{"echo request", index, patchChecksummed(ndProbe(them, v6), nd, 128), specs.MAC{}},
		{"nothing", index, nil, specs.MAC{}},
	} {
		claims := newClaims([]Claimant{us})
		claims.checkFrame(c.index, c.frame)
		got := specs.MAC{}
		if found := claims.conflicts(); len(found) == 1 {
			got = found[0].MAC
		}
		if got != c.want {
			t.Errorf("%s: conflict with %q, want %q", c.name, got, c.want)
		}
	}
}

// noOptions returns an advertisement without its option.
func noOptions(frame []byte) []byte {
	f := patchFrame(frame[:len(frame)-8], ethernetHeader+5, ndLength)
	return patchChecksummed(f, 0)
}

// A frame between two interfaces of one container is no conflict.
func TestOwnInterfacesAreNoConflict(t *testing.T) {
	t.Parallel()
	c := newClaims([]Claimant{
		{Index: 2, Name: "net1", MAC: mac(1), Addresses: []netip.Addr{v4}},
		{Index: 3, Name: "net2", MAC: mac(2), Addresses: []netip.Addr{v4.Next()}},
	})
	c.checkFrame(2, arpProbe(mac(2), v4))
	if found := c.conflicts(); len(found) != 0 || c.allConflict() {
		t.Errorf("conflicts %v, done %v", found, c.allConflict())
	}
	c.checkFrame(2, arpProbe(mac(9), v4))
	c.checkFrame(3, arpProbe(mac(8), v4.Next()))
	c.checkFrame(3, arpProbe(mac(7), v4.Next()))
	found := c.conflicts()
	if len(found) != 2 || !c.allConflict() || found[1] != (Conflict{"net2", v4.Next(), mac(8)}) {
		t.Errorf("conflicts %v, done %v", found, c.allConflict())
	}
	if text := found[0].String(); text != "192.0.2.10 (on net1) is used by 02:00:5e:00:53:09 already" {
		t.Errorf("in words: %s", text)
	}
}

// For any frame, only a claimed address is reported, never with a claimant's MAC.
func FuzzClaims(f *testing.F) {
	for _, frame := range [][]byte{
		arpProbe(mac(9), v4), arpAnnouncement(mac(9), v4), ndProbe(mac(9), v6), ndAnnouncement(mac(9), v6), nil,
	} {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		c := newClaims([]Claimant{{Index: 1, MAC: mac(1), Addresses: []netip.Addr{v4, v6}}})
		c.checkFrame(1, frame)
		for _, found := range c.conflicts() {
			if found.MAC == mac(1) || found.Addr != v4 && found.Addr != v6 {
				t.Errorf("conflict %v", found)
			}
		}
	})
}

// For any input, the attributes lie inside the message.
func FuzzParseLink(f *testing.F) {
	head := make([]byte, unix.SizeofIfInfomsg)
	f.Add(append(head, attrString(unix.IFLA_IFNAME, "net1").Serialize()...))
	f.Add(append(head, nested(unix.IFLA_LINKINFO, attrString(1, "macvlan"), macvlanData(Link{
		Mode: specs.ModeSource, SourceMACs: []specs.MAC{mac(1)}, NoPromisc: true, BCQueueLen: 5,
	})).Serialize()...))
	f.Fuzz(func(t *testing.T, message []byte) {
		l, err := parseLink(message)
		if (err != nil) != (len(message) < unix.SizeofIfInfomsg) {
			t.Errorf("error %v for %d bytes", err, len(message))
		}
		if len(l.Name)+len(l.Alias)+6*len(l.SourceMACs) > 2*len(message) {
			t.Errorf("%d bytes became %+v", len(message), l)
		}
		parseAddress(message)
	})
}
