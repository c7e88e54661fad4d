package specs

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// podmanLAN is a network as podman's setup writes it.
const podmanLAN = `{"name":"own","id":"1","driver":"berth","network_interface":null,"internal":false,"ipv6_enabled":false,"dns_enabled":false,
	"subnets":[{"subnet":"192.0.2.0/24","gateway":"192.0.2.1","lease_range":{"start_ip":"192.0.2.65","end_ip":"192.0.2.127"}}],
	"routes":[{"destination":"198.51.100.0/24","gateway":"192.0.2.9","metric":7}],
	"options":{"parent":"eth1","macvlan_mode":"private","mtu":"1400","no_default_route":"1"},"ipam_options":{"driver":"none"},"network_dns_servers":null}`

func TestNetavarkInPlace(t *testing.T) {
	t.Parallel()
	w, err := ParseNetavarkNetwork([]byte(podmanLAN))
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Selection()
	if err != nil {
		t.Fatal(err)
	}
	want := &Network{
		Parent: "eth1", Mode: ModePrivate, MTU: 1400, DefaultRoute: new(bool),
		Subnets: []Subnet{{
			Subnet: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1"),
			IPRange: netip.MustParsePrefix("192.0.2.64/26"),
			Exclude: []Exclusion{ExcludeAddr(netip.MustParseAddr("192.0.2.64"))},
		}},
		Routes: []Route{{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.9"), Metric: 7}},
	}
	want.SetDefaults()
	if d := cmp.Diff(want, s.InPlace, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNetavarkRanges(t *testing.T) {
	t.Parallel()
	for ends, want := range map[string]string{
		"192.0.2.65 192.0.2.127":   "192.0.2.64/26 without 192.0.2.64",
		"192.0.2.64 192.0.2.127":   "192.0.2.64/26",
		"192.0.2.65 192.0.2.126":   "192.0.2.64/26 without 192.0.2.64 192.0.2.127",
		"192.0.2.1 192.0.2.255":    "192.0.2.0/24",
		"192.0.2.1 192.0.2.254":    "192.0.2.0/24",
		"192.0.2.129 192.0.2.255":  "192.0.2.128/25 without 192.0.2.128",
		"192.0.2.70 192.0.2.70":    "192.0.2.70/31 without 192.0.2.71",
		"192.0.2.70 192.0.2.90":    "",
		"192.0.2.66 192.0.2.127":   "",
		"192.0.2.127 192.0.2.65":   "",
		"2001:db8::1 192.0.2.255":  "",
		"192.0.2.65 2001:db8::127": "",
	} {
		s := Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24")}
		first, last, _ := strings.Cut(ends, " ")
		got := ""
		if err := s.setRange(netip.MustParseAddr(first), netip.MustParseAddr(last)); err == nil {
			got = s.IPRange.String()
			for i, e := range s.Exclude {
				got += map[bool]string{true: " without ", false: " "}[i == 0] + e.String()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", ends, got, want)
		}
	}
}

// TestNetavarkRefuses requires an error that names the setting.
func TestNetavarkRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                             "-o network",
		`{"options":{"network":"../x"}}`: "-o network",
		`{"options":{"network":"lan","parent":"eth1"}}`:                                                              "-o parent",
		`{"options":{"network":"lan"},"subnets":[{"subnet":"192.0.2.0/24"}]}`:                                        "--subnet",
		`{"options":{"network":"lan"},"routes":[{"destination":"192.0.2.0/24"}]}`:                                    "--route",
		`{"options":{"network":"lan"},"network_interface":"eth1"}`:                                                   "--interface-name",
		`{"options":{"network":"lan"},"internal":true}`:                                                              "--internal",
		`{"options":{"network":"lan"},"ipam_options":{"driver":"dhcp"}}`:                                             "-o ipam",
		`{"options":{"parent":"eth1"},"ipam_options":{"driver":"magic"}}`:                                            "--ipam-driver",
		`{"options":{"parent":"eth1","ipam":"none"},"ipam_options":{"driver":"none"}}`:                               "--ipam-driver",
		`{"options":{"parent":"eth1","enforce":"mac-spoof"}}`:                                                        "-o enforce",
		`{"options":{"netwrok":"lan"}}`:                                                                              `-o "netwrok": want network, the name`,
		`{"options":{"parent":"eth1","no_default_route":"perhaps"}}`:                                                 "-o no_default_route",
		`{"options":{"parent":"eth1","macvlan_mode":"brigde"}}`:                                                      "-o macvlan_mode",
		`{"options":{"parent":"eth1"},"subnets":[{"subnet":"192.0.2.0/24","lease_range":{"start_ip":"192.0.2.9"}}]}`: "--ip-range",
		`{"options":{"parent":"eth1"},"subnets":[{"subnet":"300.0.2.0/24"}]}`:                                        "standard input",
		`{"options":7}`: "standard input",
		`[]`:            "standard input",
		``:              "standard input",
		`{} {}`:         "standard input",
	} {
		_, err := selectionOf([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}

// selectionOf returns the selection of a network as the command create reads it.
func selectionOf(data []byte) (Selection, error) {
	w, err := ParseNetavarkNetwork(data)
	if err == nil {
		err = w.AdoptIPAM()
	}
	if err != nil {
		return Selection{}, err
	}
	return w.Selection()
}

// TestNetavarkRewrite requires that a new network keeps all that berth does not change, and
// that its second reading is the same selection.
func TestNetavarkRewrite(t *testing.T) {
	t.Parallel()
	text := `{"name":"n","id":"1","driver":"berth","dns_enabled":true,"later":{"a":[1]},"options":{"parent":"eth1"},"ipam_options":{"driver":"dhcp"}}`
	w, err := ParseNetavarkNetwork([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AdoptIPAM(); err != nil {
		t.Fatal(err)
	}
	out, err := RewriteNetavarkNetwork([]byte(text), w)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": "n", "id": "1", "driver": "berth", "dns_enabled": false, "later": map[string]any{"a": []any{1.}},
		"options": map[string]any{"parent": "eth1", "ipam": "dhcp"}, "ipam_options": map[string]any{"driver": "none"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	again, err := ParseNetavarkNetwork(out)
	if err != nil {
		t.Fatal(err)
	}
	s, err := again.Selection()
	if err != nil || s.InPlace.IPAM != IPAMDHCP {
		t.Errorf("read again: %+v, %v", s.InPlace, err)
	}
}

func TestNetavarkCall(t *testing.T) {
	t.Parallel()
	call := `{"container_id":"c","container_name":"web","network":{"name":"n","options":{"network":"lan"},"subnets":null},
		"network_options":{"interface_name":"eth0","static_ips":["192.0.2.70"],"static_mac":"02:00:5e:00:53:01","aliases":["c"],"options":null}}`
	c, err := ParseNetavarkCall([]byte(call))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Selection()
	if err != nil || s.Network != "lan" || s.Interface != "eth0" || s.MAC.String() != "02:00:5e:00:53:01" ||
		len(s.IPs) != 1 || s.IPs[0].String() != "192.0.2.70" {
		t.Errorf("%+v, %v", s, err)
	}
	for change, want := range map[string]string{
		`"eth0"`: "interface_name", `"192.0.2.70"`: "ips", `"02:00:5e:00:53:01"`: "mac", `"options":null`: "option vlan",
	} {
		other := map[string]string{`"eth0"`: `"a/b"`, `"192.0.2.70"`: `"192.0.2.70","192.0.2.70"`, `"02:00:5e:00:53:01"`: `"x"`, `"options":null`: `"options":{"vlan":"7"}`}
		c, err := ParseNetavarkCall([]byte(strings.Replace(call, change, other[change], 1)))
		if err == nil {
			_, err = c.Selection()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", other[change], err, want)
		}
	}
}

// Every accepted request is a selection in bounds, and a network that create accepts is read
// as the same selection at setup.
func FuzzNetavark(f *testing.F) {
	f.Add([]byte(podmanLAN))
	f.Add([]byte(`{"options":{"network":"lan"}}`))
	f.Add([]byte(`{"options":{"parent":"eth1","ipvlan_mode":"l3"},"subnets":[{"subnet":"2001:db8::/64","lease_range":{"start_ip":"2001:db8::1","end_ip":"2001:db8::ff"}}]}`))
	f.Add([]byte(`{"options":{"parent":"eth1"},"ipam_options":{"driver":"dhcp"},"internal":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := selectionOf(data)
		if err != nil {
			return
		}
		checkSelection(t, s)
		w, _ := ParseNetavarkNetwork(data) // was read above
		if err := w.AdoptIPAM(); err != nil {
			t.Fatal(err)
		}
		text, err := RewriteNetavarkNetwork(data, w)
		if err != nil {
			t.Fatal(err)
		}
		call, err := ParseNetavarkCall([]byte(`{"network":` + string(text) + `,"network_options":{"interface_name":"eth0"}}`))
		if err != nil {
			t.Fatal(err)
		}
		again, err := call.Selection()
		if err != nil {
			t.Fatal(err)
		}
		again.Interface = ""
		if d := cmp.Diff(s, again, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.IgnoreUnexported(Selection{})); d != "" {
			t.Fatalf("create and setup differ:\n%s", d)
		}
	})
}
