package frame

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const ethernet = "02005e005302" + "02005e005301"

var addrs = cmpopts.EquateComparable(netip.Addr{})

func bytesOf(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(parts, ""), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ipv4(protocol string, fragment string) string {
	return "45000028 0001" + fragment + " 40" + protocol + "0000 c0000201 c0000202"
}

func ipv6(next string) string {
	return "60000000 0020" + next + "40" +
		"20010db8000000000000000000000001" + "20010db8000000000000000000000002"
}

func TestParse(t *testing.T) {
	v4 := specs.Frame{
		EtherType: "0x0800",
		SourceIP:  netip.MustParseAddr("192.0.2.1"), DestinationIP: netip.MustParseAddr("192.0.2.2"),
	}
	v6 := specs.Frame{
		EtherType: "0x86dd",
		SourceIP:  netip.MustParseAddr("2001:db8::1"), DestinationIP: netip.MustParseAddr("2001:db8::2"),
	}
	with := func(f specs.Frame, protocol string, source, destination uint16) specs.Frame {
		f.Protocol, f.SourcePort, f.DestinationPort = protocol, source, destination
		return f
	}
	const ports = "1f900035" + "00080000"
	arp := v4
	arp.EtherType, arp.Protocol = "0x0806", "arp"
	for name, c := range map[string]struct {
		bytes string
		want  specs.Frame
	}{
		"udp":               {"0800" + ipv4("11", "0000") + ports, with(v4, "udp", 8080, 53)},
		"tcp":               {"0800" + ipv4("06", "4000") + ports, with(v4, "tcp", 8080, 53)},
		"first fragment":    {"0800" + ipv4("11", "2000") + ports, with(v4, "udp", 8080, 53)},
		"later fragment":    {"0800" + ipv4("11", "2001") + ports, with(v4, "udp", 0, 0)},
		"icmp":              {"0800" + ipv4("01", "0000") + ports, with(v4, "icmp", 0, 0)},
		"unknown protocol":  {"0800" + ipv4("2f", "0000") + ports, with(v4, "ip-47", 0, 0)},
		"options cut off":   {"0800 4f" + ipv4("11", "0000")[2:] + ports, with(v4, "udp", 0, 0)},
		"header too short":  {"0800 44" + ipv4("11", "0000")[2:] + ports, with(v4, "udp", 0, 0)},
		"not version 4":     {"0800 65" + ipv4("11", "0000")[2:], specs.Frame{EtherType: "0x0800"}},
		"tagged":            {"81000064 0800" + ipv4("11", "0000") + ports, with(v4, "udp", 8080, 53)},
		"tagged twice":      {"88a80064 81000064 0800" + ipv4("11", "0000") + ports, with(v4, "udp", 8080, 53)},
		"tag cut off":       {"8100 00", specs.Frame{EtherType: "0x8100"}},
		"arp":               {"0806 0001 0800 0604 0001 02005e005301 c0000201 000000000000 c0000202", arp},
		"arp of another":    {"0806 0006 0800 0804 0001" + strings.Repeat("00", 24), specs.Frame{EtherType: "0x0806", Protocol: "arp"}},
		"icmpv6":            {"86dd" + ipv6("3a") + "8000000000010001", with(v6, "icmpv6", 0, 0)},
		"hop-by-hop":        {"86dd" + ipv6("00") + "1100000000000000" + ports, with(v6, "udp", 8080, 53)},
		"ipv6 fragment":     {"86dd" + ipv6("2c") + "1100000900000001" + ports, with(v6, "udp", 0, 0)},
		"extension cut off": {"86dd" + ipv6("00") + "11ff000000000000" + ports, with(v6, "ip-0", 0, 0)},
		"spanning tree":     {"0026 424203", specs.Frame{EtherType: "0x0026", Protocol: "llc"}},
	} {
		data := bytesOf(t, ethernet, c.bytes)
		want := c.want
		want.Source = specs.FrameMAC{0x02, 0, 0x5e, 0, 0x53, 0x01}
		want.Destination = "02:00:5e:00:53:02"
		want.Length, want.Bytes = 1500, data
		if diff := cmp.Diff(want, Parse(data, 1500), addrs); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestParseShorterThanAHeader(t *testing.T) {
	want := specs.Frame{Length: 60, Bytes: []byte{1, 2, 3}}
	if diff := cmp.Diff(want, Parse([]byte{1, 2, 3}, 60), addrs); diff != "" {
		t.Error(diff)
	}
}

// FuzzParse requires for any bytes that the summary is valid JSON, keeps the bytes, and has
// ports only if its protocol has them.
func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytesOf(f, ethernet, "0800", ipv4("11", "0000"), "1f900035"))
	f.Add(bytesOf(f, ethernet, "86dd", ipv6("00"), "1100000000000000", "1f900035"))
	f.Add(bytesOf(f, ethernet, "0806 0001 0800 0604 0001 02005e005301 c0000201 000000000000 c0000202"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := Parse(data, uint32(len(data)))
		if _, err := json.Marshal(got); err != nil {
			t.Fatal(err)
		}
		if string(got.Bytes) != string(data) {
			t.Fatalf("bytes %x, want %x", got.Bytes, data)
		}
		ported := got.Protocol == "tcp" || got.Protocol == "udp" || got.Protocol == "sctp"
		if (got.SourcePort != 0 || got.DestinationPort != 0) && !ported {
			t.Fatalf("ports of protocol %q", got.Protocol)
		}
		if got.SourceIP.IsValid() != got.DestinationIP.IsValid() {
			t.Fatal("one address without the other")
		}
		if len(data) >= 14 && got.Source != specs.FrameMAC(data[6:12]) {
			t.Fatalf("source %s of %x", got.Source, data)
		}
		if len(data) >= 14 && binary.BigEndian.Uint16(data[12:]) == typeARP && got.Protocol != "arp" {
			t.Fatalf("protocol %q of ARP", got.Protocol)
		}
	})
}
