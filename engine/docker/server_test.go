package docker

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

const space = "berth-0123456789abcdef"

const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func callServer(t *testing.T, s *Server, name, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", "/"+name, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func newServer(t *testing.T) *Server {
	t.Helper()
	dirs := config.Dirs{Config: t.TempDir(), State: t.TempDir() + "/state", BPFFS: t.TempDir() + "/none"}
	for name, text := range map[string]string{
		"lan":    "parent = \"eth1\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n",
		"both":   "parent = \"eth1\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n[[subnet]]\nsubnet = \"2001:db8::/64\"\n",
		"leased": "parent = \"eth1\"\nipam = \"dhcp\"\n",
		"mixed":  "parent = \"eth1\"\nipv6 = \"slaac\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\n",
		"static": "parent = \"eth1\"\nipam = \"static\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n",
		"shared": "parent = \"eth1\"\nipam = \"cluster\"\ndomain = \"hq\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n",
	} {
		path := config.NetworkFile(dirs.Config, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	store, log := state.Open(dirs.State), slog.New(slog.NewTextHandler(t.Output(), nil))
	return &Server{
		Dirs: dirs, Networks: Networks{t.TempDir() + "/networks"}, Store: store, Log: log,
		NewHook: func() *hook.Hook { return &hook.Hook{Dirs: dirs, Store: store, Log: log} },
		Allow: func(s specs.Selection) error {
			if s.Network == "secret" {
				return errors.New("policy refuses it")
			}
			return nil
		},
	}
}

// request returns a CreateNetwork in docker's form.
func request(options string) string {
	return `{"NetworkID":"` + id + `","Options":{"com.docker.network.enable_ipv6":false,"com.docker.network.generic":` + options + `},
		"IPv4Data":[{"AddressSpace":"` + space + `","Gateway":"192.0.2.1/24","Pool":"192.0.2.0/24","AuxAddresses":{}}],"IPv6Data":[]}`
}

// unaddressed returns a CreateNetwork with docker's IPAM driver null, in docker's form.
func unaddressed(options string) string {
	return `{"NetworkID":"` + id + `","Options":{"com.docker.network.generic":` + options + `},
		"IPv4Data":[{"AddressSpace":"null","Pool":"0.0.0.0/0"}],"IPv6Data":[]}`
}

func TestCalls(t *testing.T) {
	for _, c := range []struct {
		name, body string
		code       int
		want       string
	}{
		{"Plugin.Activate", "", 200, `{"Implements":["NetworkDriver","IpamDriver"]}`},
		{"NetworkDriver.GetCapabilities", "", 200, `{"Scope":"local","ConnectivityScope":"global","GwAllocChecker":true}`},
		{"NetworkDriver.GwAllocCheck", "{}", 200, `{"SkipIPv4":true,"SkipIPv6":true}`},
		{"NetworkDriver.DiscoverNew", "{}", 200, "{}"},
		{"IpamDriver.GetCapabilities", "", 200, `{"RequiresMACAddress":false,"RequiresRequestReplay":false}`},
		{"IpamDriver.GetDefaultAddressSpaces", "", 200, `{"LocalDefaultAddressSpace":"berth-`},
		{"IpamDriver.RequestPool", `{"AddressSpace":"` + space + `","Pool":"192.0.2.9/24"}`, 200, `{"PoolID":"` + space + ` 192.0.2.0/24","Pool":"192.0.2.0/24"}`},
		{"IpamDriver.RequestPool", `{"AddressSpace":"` + space + `","Pool":"192.0.2.0/24","SubPool":"192.0.2.64/26"}`, 200, `"` + space + ` 192.0.2.0/24 192.0.2.64/26"`},
		{"IpamDriver.RequestPool", `{"AddressSpace":"` + space + `"}`, 500, `"Error":"berth-docker: --subnet`},
		{"IpamDriver.RequestPool", `{"AddressSpace":"` + space + `","Pool":"192.0.2.0/24","SubPool":"198.51.100.0/26"}`, 500, "a part of the subnet"},
		{"IpamDriver.RequestPool", `{"AddressSpace":"` + space + `","Pool":"x"}`, 500, "an address with a prefix length"},
		{"IpamDriver.RequestPool", `{"AddressSpace":"` + space + `","Pool":"192.0.2.0/24","Options":{"a":"b"}}`, 500, "--ipam-opt a"},
		{"IpamDriver.RequestPool", `{"AddressSpace":"LocalDefault","Pool":"192.0.2.0/24"}`, 500, "one that berth has named"},
		{"IpamDriver.RequestAddress", `{"PoolID":"` + space + ` 192.0.2.0/24","Address":"192.0.2.1","Options":{"RequestAddressType":"com.docker.network.gateway"}}`, 200, `{"Address":"192.0.2.1/24"}`},
		{"IpamDriver.RequestAddress", `{"PoolID":"` + space + ` 192.0.2.0/24","Address":"192.0.2.5"}`, 200, `{"Address":"192.0.2.5/24"}`},
		{"IpamDriver.RequestAddress", `{"PoolID":"` + space + ` 192.0.2.0/24","Address":"198.51.100.5"}`, 500, "in the subnet 192.0.2.0/24"},
		{"IpamDriver.RequestAddress", `{"PoolID":"` + space + ` 192.0.2.0/24","Options":{"RequestAddressType":"com.docker.network.gateway"}}`, 500, "--gateway"},
		{"IpamDriver.RequestAddress", `{"PoolID":"other","Address":"192.0.2.5"}`, 500, "the ID of a pool of berth's"},
		{"IpamDriver.ReleaseAddress", `{"PoolID":"` + space + ` 192.0.2.0/24","Address":"192.0.2.5"}`, 200, "{}"},
		{"IpamDriver.ReleasePool", `{"PoolID":"` + space + ` 192.0.2.0/24"}`, 200, "{}"},
		{"NetworkDriver.Unknown", "{}", 404, "404 page not found"},
		{"NetworkDriver.CreateNetwork", request(`{"network":"lan"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", strings.ReplaceAll(request(`{"network":"lan"}`), space, "LocalDefault"), 200, "{}"},
		{"NetworkDriver.CreateNetwork", strings.ReplaceAll(strings.ReplaceAll(request(`{"network":"lan"}`), space, "LocalDefault"), "192.0.2.1/24", ""), 500,
			`--gateway \"\": want 192.0.2.1, the gateway of the network \"lan\"`},
		{"NetworkDriver.CreateNetwork", strings.ReplaceAll(request(`{"network":"lan"}`), space, "GlobalDefault"), 500, "--ipam-driver berth --subnet"},
		{"NetworkDriver.CreateNetwork", request(`{"network":"static"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", request(`{"network":"shared"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", request(`{"network":"mixed"}`), 500, "--ipam-driver \\\"berth\\\": want null"},
		{"NetworkDriver.CreateNetwork", unaddressed(`{"network":"mixed"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", strings.ReplaceAll(request(`{"network":"lan"}`), "192.0.2", "198.51.100"), 500, "--subnet 192.0.2.0/24"},
		{"NetworkDriver.CreateNetwork", strings.ReplaceAll(request(`{"network":"lan"}`), "192.0.2.1/24", "192.0.2.254/24"), 500, "--gateway"},
		{"NetworkDriver.CreateNetwork", strings.ReplaceAll(request(`{"network":"lan"}`), `"AuxAddresses":{}`, `"AuxAddresses":{"nas":"192.0.2.5/24"}`), 500, "set exclude"},
		{"NetworkDriver.CreateNetwork", request(`{"network":"both"}`), 500, "--subnet 192.0.2.0/24 --subnet 2001:db8::/64"},
		{"NetworkDriver.CreateNetwork", request(`{"network":"leased"}`), 500, "--ipam-driver \\\"berth\\\": want null"},
		{"NetworkDriver.CreateNetwork", unaddressed(`{"network":"leased"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", unaddressed(`{"network":"lan"}`), 500, "--ipam-driver \\\"null\\\": want berth"},
		{"NetworkDriver.CreateNetwork", unaddressed(`{"parent":"eth1","ipam":"dhcp"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", unaddressed(`{"parent":"eth1"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", request(`{"parent":"eth1","ipam":"none"}`), 500, "ipam"},
		{"NetworkDriver.CreateNetwork", request(`{"parent":"eth1","macvlan_mode":"bridge"}`), 200, "{}"},
		{"NetworkDriver.CreateNetwork", strings.NewReplacer("192.0.2.0/24", "192.0.2.0/30", `"AuxAddresses":{}`, `"AuxAddresses":{"nas":"192.0.2.2/30"}`).
			Replace(request(`{"parent":"eth1","macvlan_mode":"bridge"}`)), 500, "it has no address for a container"},
		{"NetworkDriver.CreateNetwork", request(`{"network":"secret"}`), 500, `{"Err":"berth-docker: policy refuses it","Error":"berth-docker: policy refuses it"}`},
		{"NetworkDriver.CreateNetwork", request(`{"network":"lan","mtu":"9000"}`), 500, "nothing beside -o network"},
		{"NetworkDriver.CreateNetwork", request(`{"network":1}`), 500, "a string"},
		{"NetworkDriver.CreateNetwork", request(`[]`), 500, "an object of options"},
		{"NetworkDriver.CreateNetwork", strings.ReplaceAll(request(`{"network":"lan"}`), id, "../x"), 500, "64 hexadecimal digits"},
		{"NetworkDriver.CreateNetwork", "x", 500, "read the request"},
		{"NetworkDriver.DeleteNetwork", `{"NetworkID":"` + id + `"}`, 200, "{}"},
	} {
		if code, got := callServer(t, newServer(t), c.name, c.body); code != c.code || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.name, c.body, code, got, c.code, c.want)
		}
	}
}

// TestLostAndDamagedNetworks requires that a container on a network whose file is lost is refused
// with the remedy, and that a damaged file is no obstacle for the other networks.
func TestLostAndDamagedNetworks(t *testing.T) {
	s := newServer(t)
	asked := `{"PoolID":"` + space + ` 192.0.2.0/24","Address":"","Options":{"com.docker.network.endpoint.macaddress":"02:00:5e:00:53:01"}}`
	if code, got := callServer(t, s, "IpamDriver.RequestAddress", asked); code != 500 || !strings.Contains(got, "docker network rm") {
		t.Errorf("without its file: %d %s", code, got)
	}
	if code, got := callServer(t, s, "NetworkDriver.CreateNetwork", request(`{"network":"lan"}`)); code != 200 {
		t.Fatal(got)
	}
	damaged := filepath.Join(s.Networks.Dir, strings.Repeat("0", 64)+".json")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway := `{"PoolID":"berth-fedcba9876543210 192.0.2.0/24","Address":"192.0.2.1","Options":{"RequestAddressType":"com.docker.network.gateway"}}`
	if code, got := callServer(t, s, "IpamDriver.RequestAddress", gateway); code != 200 {
		t.Errorf("a new network beside a damaged file: %d %s", code, got)
	}
	if c, err := s.Networks.OfSpace(space); err != nil || c == nil || c.NetworkID != id {
		t.Errorf("beside a damaged file: %+v, %v", c, err)
	}
	if _, err := s.Networks.OfSpace("berth-fedcba9876543210"); err == nil || !strings.Contains(err.Error(), "create it again") {
		t.Errorf("perhaps in the damaged file: %v", err)
	}
}

// TestANetworkOutlivesTheServer requires that a new server knows a network that docker told an
// earlier one of, until docker deletes it, and that nothing else is left.
func TestANetworkOutlivesTheServer(t *testing.T) {
	first := newServer(t)
	if code, got := callServer(t, first, "NetworkDriver.CreateNetwork", request(`{"parent":"eth1","macvlan_mode":"bridge"}`)); code != 200 {
		t.Fatal(got)
	}
	second := newServer(t)
	second.Networks = first.Networks
	c, err := second.Networks.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Selection()
	if err != nil || s.InPlace == nil || s.InPlace.Parent != "eth1" || s.InPlace.Mode != "bridge" ||
		len(s.InPlace.Subnets) != 1 || s.InPlace.Subnets[0].Gateway.String() != "192.0.2.1" {
		t.Errorf("%+v, %v", s, err)
	}
	for range 2 {
		if code, got := callServer(t, second, "NetworkDriver.DeleteNetwork", `{"NetworkID":"`+id+`"}`); code != 200 {
			t.Error(got)
		}
	}
	if _, err := second.Networks.Load(id); err == nil || !strings.Contains(err.Error(), "create it again") {
		t.Error(err)
	}
	if left, err := os.ReadDir(first.Networks.Dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
