package hook

import (
	"encoding/hex"
	"strings"
	"testing"

	"berth/specs"
)

func TestClientIDs(t *testing.T) {
	t.Parallel()
	id := clientID{network: "lan", container: "web", ifname: "net1", mac: specs.MAC{2, 0, 0, 0, 0, 1}, kind: specs.ClientIDMAC}
	if got := hex.EncodeToString(id.option61()); got != "01020000000001" {
		t.Errorf("mac: %s", got)
	}
	if got := hex.EncodeToString(id.duid()); got != "00030001020000000001" {
		t.Errorf("DUID-LL: %s", got)
	}
	id.kind = specs.ClientIDName
	if got := string(id.option61()); got != "\x00web/net1" {
		t.Errorf("name: %q", got)
	}
	id.container = strings.Repeat("x", 300)
	if got := id.option61(); len(got) > maxID61 {
		t.Errorf("a long name: %d bytes", len(got))
	}
	id.container, id.kind = "web", specs.ClientIDDUID
	first := id.option61()
	if iaid := id.iaid(); first[0] != idIAID || [4]byte(first[1:]) != iaid || hex.EncodeToString(first[5:]) != hex.EncodeToString(id.duid()) || len(id.duid()) != 18 {
		t.Errorf("duid: %x", first)
	}
	for _, other := range []clientID{
		{network: "lab", container: "web", ifname: "net1", kind: specs.ClientIDDUID},
		{network: "lan", container: "db", ifname: "net1", kind: specs.ClientIDDUID},
		{network: "lan", container: "web", ifname: "net2", kind: specs.ClientIDDUID},
	} {
		if string(other.option61()) == string(first) {
			t.Errorf("%+v has the identifier of %+v", other, id)
		}
	}
}

func TestDHCPHostnames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ab", 32)
	for _, c := range []struct{ name, hostname, want string }{
		{"web", "", "web"}, {"web", "other", "web"}, {"prod/web-0", "", "web-0"}, {"k8s.io/web", "x", "web"},
		{long, "", long[:12]}, {long, "db", "db"}, {long, "not a host", long[:12]},
		{"a_b", "", ""}, {"-a", "", ""}, {strings.Repeat("a", 63), "", strings.Repeat("a", 63)}, {strings.Repeat("z", 64), "", ""}, {"a.b", "", "a.b"}, {long, "db.example.com", "db.example.com"},
		{"prod/web.0", "", "web.0"}, {"a..b", "", ""}, {".a", "", ""}, {"a.", "", ""}, {"a.-b", "", ""}, {"a_b.c", "", ""}, {"192.0.2.7", "", ""},
		{strings.Repeat("a.", 126) + "a", "", strings.Repeat("a.", 126) + "a"}, {strings.Repeat("a.", 126) + "ab", "", ""},
	} {
		if got := dhcpHostname(c.name, c.hostname); got != c.want {
			t.Errorf("dhcpHostname(%q, %q) = %q, want %q", c.name, c.hostname, got, c.want)
		}
	}
}
