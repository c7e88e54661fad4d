package specs

import (
	"encoding/json"
	"testing"
)

// Every accepted selection is in bounds, and its JSON form parses to the same
// selection.
func FuzzParseAnnotations(f *testing.F) {
	for _, seed := range []string{
		"lan", "lan,lab@x", `[{"name":"lan","ips":["192.0.2.7/24"],"mac":"02:00:5e:00:53:01"}]`,
		`[{"parent":"eth1","mode":"l3","subnet":[{"subnet":"192.0.2.0/24","ip-range":"192.0.2.0/25"}]}]`,
		"[", `[{"name":"lan","default-route":["192.0.2.1"]}]`, "lan@net%d", `[{"parent":"eth1","ips":["2001:db8::1/64"]}]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		all, err := ParseAnnotations(map[string]string{KeyNetworks: value})
		if err != nil {
			if all != nil {
				t.Fatalf("selections %v beside error %v", all, err)
			}
			return
		}
		if len(all) < 1 || len(all) > MaxSelections {
			t.Fatalf("%d selections", len(all))
		}
		for _, s := range all {
			checkSelection(t, s)
		}
	})
}

func checkSelection(t *testing.T, s Selection) {
	if (s.Network == "") == (s.InPlace == nil) {
		t.Fatalf("named and in place, or neither: %+v", s)
	}
	if s.Interface != "" && CheckInterfaceName(s.Interface) != nil {
		t.Fatalf("interface %q", s.Interface)
	}
	if s.MAC.IsMulticast() {
		t.Fatalf("MAC %s", s.MAC)
	}
	for _, ip := range s.IPs {
		if !IsUnicast(ip.Addr) {
			t.Fatalf("address %s", ip)
		}
		if s.InPlace != nil && s.InPlace.SubnetOf(ip.Addr) == nil {
			t.Fatalf("address %s in no subnet of %+v", ip, s.InPlace)
		}
	}
	if s.InPlace != nil {
		if err := s.InPlace.Check(); err != nil {
			t.Fatalf("network in place: %v", err)
		}
	}
}

// A network that was read can be written, and reads back as the same network.
func FuzzDecodeNetwork(f *testing.F) {
	f.Add([]byte("parent = 'eth1'\n[[subnet]]\nsubnet = '192.0.2.0/24'\ngateway = '192.0.2.1'\n"))
	f.Add([]byte("parent = 'eth1.100'\ndriver = 'ipvlan'\nmode = 'l3s'\nipv6 = 'slaac'\n"))
	f.Add([]byte("parent = 'eth1'\nmode = 'source'\nsource_macs = ['02:00:5e:00:53:01']\n[[route]]\nto = '198.51.100.0/24'\n"))
	f.Add([]byte("mtu = 1e3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := DecodeNetwork("lan", data)
		if err != nil {
			return
		}
		written, err := EncodeNetwork(n)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeNetwork("lan", written)
		if err != nil {
			t.Fatalf("%v in what was written:\n%s", err, written)
		}
		a, _ := json.Marshal(n)
		b, _ := json.Marshal(again)
		if string(a) != string(b) {
			t.Fatalf("was  %s\nis   %s\nfrom %s", a, b, written)
		}
	})
}

// A policy file never causes a panic, and never permits more than its text.
func FuzzDecodeConfig(f *testing.F) {
	f.Add([]byte("[policy]\nnetworks = ['lan']\nvlans = ['100-199']\n"))
	f.Add([]byte("[agent]\nmax_endpoints = 10\nattach = 'tcx'\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeConfig(data)
		if err == nil && len(c.Policy.Parents) == 0 && c.Policy.AllowInPlace(&Network{Parent: "eth1", Mode: ModeBridge}) == nil {
			t.Fatal("a parent is allowed that no pattern names")
		}
	})
}
