package foreign

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

func subnetOf(subnet, gateway, from, to string) Subnet {
	s := Subnet{Subnet: netip.MustParsePrefix(subnet), From: netip.MustParseAddr(from), To: netip.MustParseAddr(to)}
	if gateway != "" {
		s.Gateway = netip.MustParseAddr(gateway)
	}
	return s
}

func wantNetworks(t *testing.T, got []Network, want ...Network) {
	t.Helper()
	equal := []cmp.Option{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
	if d := cmp.Diff(want, got, equal...); d != "" {
		t.Errorf("networks (-want +got):\n%s", d)
	}
}

// definitions are files of podman's and of CNI's networks.
var definitions = map[string]string{
	"podman/lan.json": `{"name":"lan","id":"9f","driver":"macvlan","network_interface":"eth1","created":"2026-01-01T00:00:00Z",
"subnets":[{"subnet":"192.0.2.0/24","gateway":"192.0.2.1","lease_range":{"start_ip":"192.0.2.65","end_ip":"192.0.2.126"}},{"subnet":"2001:db8::/64"}],
"ipv6_enabled":true,"internal":false,"dns_enabled":false,"options":{"mode":"private","mtu":"1400"},"ipam_options":{"driver":"host-local"}}`,
	"podman/leased.json": `{"name":"leased","driver":"ipvlan","network_interface":"eth1","options":{"mode":"l3"},"ipam_options":{"driver":"dhcp"}}`,
	"podman/own.json":    `{"name":"own","driver":"bridge","network_interface":"podman1","subnets":[{"subnet":"198.51.100.0/24"}]}`,
	"cni/10-lan.conflist": `{"cniVersion":"1.0.0","name":"home","plugins":[{"type":"macvlan","master":"eth1","mode":"bridge","mtu":1500,
"ipam":{"type":"host-local","ranges":[[{"subnet":"192.0.2.0/24","rangeStart":"192.0.2.200","rangeEnd":"192.0.2.220","gateway":"192.0.2.1"}],[{"subnet":"2001:db8::/64"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"tuning"}]}`,
	"cni/20-plain.conf":                    `{"name":"plain","type":"ipvlan","master":"eth2","ipam":{"type":"host-local","subnet":"198.51.100.0/24"}}`,
	"cni/30-other.conflist":                `{"name":"other","plugins":[{"type":"berth-cni","network":"lan"}]}`,
	"cni/40-inside.conflist":               `{"name":"inside","plugins":[{"type":"macvlan","master":"eth0","linkInContainer":true,"ipam":{}}]}`,
	"cni/default/nerdctl-wide.conflist":    `{"name":"wide","nerdctlID":"9f","plugins":[{"type":"macvlan","master":"eth3","ipam":{"type":"whereabouts","range":"192.0.2.0/24"}}]}`,
	"cni/default/unrelated/other.conflist": `{`,
}

func TestNetworksInFiles(t *testing.T) {
	dir := t.TempDir()
	d := Definitions{Podman: filepath.Join(dir, "podman"), CNI: filepath.Join(dir, "cni")}
	for _, write := range []bool{false, true} {
		for path, text := range definitions {
			if !write {
				break
			}
			path = filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := ReadNetworks(d)
		if err != nil {
			t.Fatal(err)
		}
		if !write {
			wantNetworks(t, got)
			continue
		}
		for path, want := range map[string]string{"podman/lan.json": "podman:lan", "cni/20-plain.conf": "cni:plain", "podman/own.json": "", "cni/30-other.conflist": "", "cni/40-inside.conflist": ""} {
			if n, err := ReadNetworkFile(filepath.Join(dir, path)); (err == nil) != (want != "") || err == nil && n.Name.String() != want {
				t.Errorf("file %s: %v, %v, want %q", path, n, err, want)
			}
		}
		wantNetworks(t, got,
			Network{Name: specs.EngineNetwork{Engine: "podman", Name: "lan"}, Driver: specs.Macvlan, Mode: specs.ModePrivate, Parent: "eth1", MTU: 1400, IPAM: specs.IPAMLocal,
				Subnets: []Subnet{subnetOf("192.0.2.0/24", "192.0.2.1", "192.0.2.65", "192.0.2.126"), subnetOf("2001:db8::/64", "", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff")}},
			Network{Name: specs.EngineNetwork{Engine: "podman", Name: "leased"}, Driver: specs.IPvlan, Mode: specs.ModeL3, Parent: "eth1", IPAM: specs.IPAMDHCP},
			Network{Name: specs.EngineNetwork{Engine: "cni", Name: "home"}, Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1", MTU: 1500, IPAM: specs.IPAMLocal, Further: []string{"tuning"},
				Subnets: []Subnet{subnetOf("192.0.2.0/24", "192.0.2.1", "192.0.2.200", "192.0.2.220"), subnetOf("2001:db8::/64", "2001:db8::1", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff")}},
			Network{Name: specs.EngineNetwork{Engine: "cni", Name: "plain"}, Driver: specs.IPvlan, Parent: "eth2", NoRoute: true, IPAM: specs.IPAMLocal,
				Subnets: []Subnet{subnetOf("198.51.100.0/24", "198.51.100.1", "198.51.100.0", "198.51.100.255")}},
			Network{Name: specs.EngineNetwork{Engine: "cni", Name: "wide"}, Driver: specs.Macvlan, Parent: "eth3", NoRoute: true, IPAM: specs.IPAMStatic, Nerdctl: true})
	}
}

// TestBrokenDefinition returns the other networks with an error that names the file.
func TestBrokenDefinition(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.json": `{"name":"a","driver":"macvlan"}`, "b.json": `{"name":`,
		"c.json": `{"name":"c","driver":"macvlan","subnets":[{"subnet":"192.0.2.0"}]}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadNetworks(Definitions{Podman: dir})
	wantNetworks(t, got, Network{Name: specs.EngineNetwork{Engine: "podman", Name: "a"}, Driver: specs.Macvlan, IPAM: specs.IPAMNone})
	if err == nil {
		t.Error("no error, want one of two files")
	}
}

// dockerAnswer is dockerd's answer to GET /networks, shortened.
const dockerAnswer = `[{"Name":"bridge","Id":"1f","Driver":"bridge","IPAM":{"Driver":"default","Config":[{"Subnet":"172.17.0.0/16"}]},"ConfigOnly":false,"Options":{}},
{"Name":"home","Id":"2f","Driver":"macvlan","EnableIPv6":false,"IPAM":{"Driver":"default","Options":{},"Config":[{"Subnet":"192.0.2.0/24","IPRange":"192.0.2.64/26",
"Gateway":"192.0.2.1","AuxiliaryAddresses":{"router":"192.0.2.70"}}]},"Internal":false,"ConfigOnly":false,"Options":{"parent":"eth1","macvlan_mode":"vepa","com.docker.network.driver.mtu":"1400"}},
{"Name":"template","Driver":"macvlan","ConfigOnly":true,"IPAM":{"Driver":"default","Config":[{"Subnet":"192.0.2.0/24"}]}},
{"Name":"tap","Driver":"ipvlan","IPAM":{"Driver":"null","Config":[]},"Options":{"parent":"eth2","ipvlan_mode":"l3s","ipvlan_flag":"private"}}]`

// serveDocker answers requests for networks on a socket.
func serveDocker(t *testing.T, status int, answer string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "docker") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/networks" {
			t.Errorf("request %s %s", r.Method, r.URL)
		}
		w.Header().Set("Server", "Docker/28.5.2+dfsg1 (linux)")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	})}
	go func() { _ = server.Serve(l) }() // until it is closed
	t.Cleanup(func() { server.Close() })
	return socket
}

func TestDockersNetworks(t *testing.T) {
	got, err := ReadDockerNetworks(t.Context(), serveDocker(t, http.StatusOK, dockerAnswer))
	if err != nil {
		t.Fatal(err)
	}
	home := subnetOf("192.0.2.0/24", "192.0.2.1", "192.0.2.64", "192.0.2.127")
	home.Reserved = addresses("192.0.2.70")
	const version = "28.5.2+dfsg1"
	wantNetworks(t, got,
		Network{Name: dockerNamed("home"), Version: version, Driver: specs.Macvlan, Mode: specs.ModeVEPA, Parent: "eth1", MTU: 1400, IPAM: specs.IPAMLocal, Subnets: []Subnet{home}},
		Network{Name: dockerNamed("tap"), Version: version, Driver: specs.IPvlan, Mode: specs.ModeL3S, Flag: specs.FlagPrivate, Parent: "eth2", IPAM: specs.IPAMNone})
	for name, socket := range map[string]string{
		"an error":  serveDocker(t, http.StatusInternalServerError, `{"message":"no"}`),
		"no JSON":   serveDocker(t, http.StatusOK, `<html>`),
		"no socket": filepath.Join(t.TempDir(), "socket"),
	} {
		if got, err := ReadDockerNetworks(t.Context(), socket); err == nil {
			t.Errorf("%s: %v, want an error", name, got)
		}
	}
}

func dockerNamed(name string) specs.EngineNetwork {
	return specs.EngineNetwork{Engine: specs.EngineDocker, Name: name}
}

// TestDockerGateways reads networks of docker whose user gave no gateway, as docker 26 and 28 show
// them: their containers have the first address as their gateway, unless the network is internal or has a
// range. In mode l3 they always have a default route.
func TestDockerGateways(t *testing.T) {
	const ipam = `"IPAM":{"Driver":"default","Config":[{"Subnet":"198.51.100.0/24"}]}`
	const ranged = `"IPAM":{"Driver":"default","Config":[{"Subnet":"198.51.100.0/24","IPRange":"198.51.100.64/26"}]}`
	got, err := parseDockerNetworks([]byte(`[
{"Name":"plain","Driver":"macvlan",` + ipam + `,"Options":{"parent":"eth1"}},
{"Name":"inside","Driver":"macvlan","Internal":true,` + ipam + `,"Options":{"parent":"eth1"}},
{"Name":"ranged","Driver":"macvlan",` + ranged + `,"Options":{"parent":"eth1"}},
{"Name":"routed","Driver":"ipvlan",` + ipam + `,"Options":{"parent":"eth1","ipvlan_mode":"l3"}},
{"Name":"routed-inside","Driver":"ipvlan","Internal":true,` + ipam + `,"Options":{"parent":"eth1","ipvlan_mode":"l3s"}},
{"Name":"routed-ranged","Driver":"ipvlan",` + ranged + `,"Options":{"parent":"eth1","ipvlan_mode":"l3s"}}]`))
	first := netip.MustParseAddr("198.51.100.1")
	all := []netip.Addr{first, {}, {}, first, {}, first}
	if err != nil || len(got) != len(all) {
		t.Fatalf("%d networks, %v, want %d", len(got), err, len(all))
	}
	for i, want := range all {
		if s := got[i].Subnets[0]; s.Gateway != want {
			t.Errorf("%s: gateway %s, want %s", got[i].Name.Name, s.Gateway, want)
		}
	}
}
