package docker

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// host is the test's namespace with a driver, and a parent that is wired to another machine of
// the LAN.
type host struct {
	*testing.T
	*Server
	parent string
	wire   *testnet.NS
	step   func(string) error              // of the hook
	ahead  func([]hook.ProbeRequest) error // of the hook
}

const pool24 = space + " 192.0.2.0/24"

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{T: t, parent: testnet.Unique("p"), wire: testnet.Namespace(t)}
	dirs := config.Dirs{Config: t.TempDir(), State: "/run/" + testnet.Unique("berth"), BPFFS: "/sys/fs/bpf/" + testnet.Unique("none")}
	t.Cleanup(func() { _ = os.RemoveAll(dirs.State) })
	testnet.Veth(t, h.parent, testnet.Here(t), "wire", h.wire)
	policy := "[policy]\nparents = [\"" + h.parent + "\"]\nmodes = [\"bridge\", \"l2\"]\nstatic_ips = true\nstatic_macs = true\n"
	if err := os.WriteFile(filepath.Join(dirs.Config, "berth.toml"), []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Server = newServer(t)
	h.Dirs, h.Store = dirs, state.Open(dirs.State)
	h.NewHook = func() *hook.Hook {
		return &hook.Hook{Dirs: dirs, Store: h.Store, Log: h.Server.Log, Step: h.step, StartProber: h.ahead}
	}
	h.Allow = h.NewHook().Allow
	h.Server.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	return h
}

// create creates a network in place; options are further ones, each after a comma.
func (h *host) create(options string) {
	h.Helper()
	h.callDriver("NetworkDriver.CreateNetwork", request(`{"parent":"`+h.parent+`","macvlan_mode":"bridge"`+options+`}`), 200, "{}")
}

// callDriver calls a method, and requires a status and a part of the answer.
func (h *host) callDriver(name, body string, code int, want string) string {
	h.Helper()
	got, answer := callServer(h.T, h.Server, name, body)
	if got != code || !strings.Contains(answer, want) {
		h.Fatalf("%s %s: %d %s, want %d %s", name, body, got, answer, code, want)
	}
	return answer
}

// request an address as docker does, without one for any.
func (h *host) address(asked string, code int, want string) string {
	h.Helper()
	return h.callDriver("IpamDriver.RequestAddress", `{"PoolID":"`+pool24+`","Address":"`+asked+`","Options":{}}`, code, want)
}

func (h *host) release(address string) {
	h.Helper()
	h.callDriver("IpamDriver.ReleaseAddress", `{"PoolID":"`+pool24+`","Address":"`+address+`"}`, 200, "{}")
}

// endpoint returns a request for an endpoint whose ID is of one letter.
func endpoint(letter, more string) string {
	return `{"NetworkID":"` + id + `","EndpointID":"` + strings.Repeat(letter, 64) + `"` + more + `}`
}

// held returns the leased addresses.
func (h *host) held() (all []string) {
	h.Helper()
	err := h.Store.View(h.Context(), func(tx *state.Tx) error {
		for l, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			all = append(all, l.Addr.String())
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return all
}

func (h *host) expectHeld(want string) {
	h.Helper()
	if got := strings.Join(h.held(), " "); got != want {
		h.Errorf("leases of %q, want %q", got, want)
	}
}

// TestAnEndpointInDockersOrder plays a container of docker 28 from its start to its end, and its
// Leave, which docker may lose.
func TestAnEndpointInDockersOrder(t *testing.T) {
	t.Parallel()
	h, ns := newHost(t), testnet.Namespace(t)
	h.create(`,"conflict_timeout":"0"`)
	joined := endpoint("a", `,"SandboxKey":"`+ns.Path()+`"`)
	for _, lost := range []bool{false, true} {
		h.address("", 200, `{"Address":"192.0.2.2/24"}`)
		h.expectHeld("192.0.2.2")
		answer := h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Options":{},"Interface":{"Address":"192.0.2.2/24"}`), 200, `{"Interface":{"MacAddress":"`)
		var created CreatedEndpoint
		if err := json.Unmarshal([]byte(answer), &created); err != nil {
			t.Fatal(err)
		}
		h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"/run/netns/none"`), 500, "need docker 28")
		h.callDriver("NetworkDriver.Join", joined, 200, `{"Gateway":"192.0.2.1","DisableGatewayService":true}`)
		h.callDriver("NetworkDriver.Join", joined, 200, `{"Gateway":"192.0.2.1","DisableGatewayService":true}`) // docker lost the answer
		h.expectHeld("192.0.2.2")
		links := testnet.Run(t, ns, "ip", "-o", "link", "show", "type", "macvlan")
		if strings.Count(links, "\n") != 1 || !strings.Contains(links, "net1@") || !strings.Contains(links, created.Interface.MacAddress) {
			t.Errorf("links %q, want one with the MAC %s", links, created.Interface.MacAddress)
		}
		if a := testnet.Run(t, ns, "ip", "-o", "-4", "address"); !strings.Contains(a, "192.0.2.2/24") {
			t.Errorf("addresses %q", a)
		}
		if r := testnet.Run(t, ns, "ip", "-4", "route", "show", "default"); r != "" {
			t.Errorf("the default route is docker's: %q", r)
		}
		if !lost {
			h.callDriver("NetworkDriver.Leave", endpoint("a", ""), 200, "{}")
		}
		for range 2 {
			h.callDriver("NetworkDriver.DeleteEndpoint", endpoint("a", ""), 200, "{}")
			h.release("192.0.2.2")
		}
		h.expectHeld("")
		if links := testnet.Run(t, ns, "ip", "-o", "link", "show", "type", "macvlan"); links != "" {
			t.Errorf("left %q", links)
		}
	}
	h.callDriver("NetworkDriver.DeleteNetwork", `{"NetworkID":"`+id+`"}`, 200, "{}")
}

// TestAnEndpointOfIPvlan plays a container with both families on a network of ipvlan, as docker's
// own driver has it. It has its parent's MAC, so the answer to CreateEndpoint has none.
func TestAnEndpointOfIPvlan(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	h, ns := newHost(t), testnet.Namespace(t)
	both := strings.ReplaceAll(request(`{"parent":"`+h.parent+`","ipvlan_mode":"l2","conflict_timeout":"0"}`), `"IPv6Data":[]`,
		`"IPv6Data":[{"AddressSpace":"`+space+`","Gateway":"2001:db8::1/64","Pool":"2001:db8::/64"}]`)
	h.callDriver("NetworkDriver.CreateNetwork", both, 200, "{}")
	h.address("", 200, `{"Address":"192.0.2.2/24"}`)
	h.callDriver("IpamDriver.RequestAddress", `{"PoolID":"`+space+` 2001:db8::/64","Address":""}`, 200, `{"Address":"2001:db8::2/64"}`)
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.2/24","AddressIPv6":"2001:db8::2/64"}`), 200, `{"Interface":{}}`)
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+ns.Path()+`"`), 200, `{"Gateway":"192.0.2.1","GatewayIPv6":"2001:db8::1","DisableGatewayService":true}`)
	if links := testnet.Run(t, ns, "ip", "-o", "-d", "link", "show", "net1"); !strings.Contains(links, "ipvlan  mode l2") {
		t.Errorf("links %q", links)
	}
	if all := testnet.Run(t, ns, "ip", "-o", "address", "show", "net1"); !strings.Contains(all, "192.0.2.2/24") || !strings.Contains(all, "2001:db8::2/64") {
		t.Errorf("addresses %q", all)
	}
	h.callDriver("NetworkDriver.Leave", endpoint("a", ""), 200, "{}")
	h.callDriver("NetworkDriver.DeleteEndpoint", endpoint("a", ""), 200, "{}")
	h.release("192.0.2.2")
	h.callDriver("IpamDriver.ReleaseAddress", `{"PoolID":"`+space+` 2001:db8::/64","Address":"2001:db8::2"}`, 200, "{}")
	h.expectHeld("")
}

// TestAnEndpointWithDHCP plays a container on a network of docker without addresses (--ipam-driver
// null): the LAN's DHCP server leases one at Join, and berth sets the default route.
func TestAnEndpointWithDHCP(t *testing.T) {
	t.Parallel()
	h, ns := newHost(t), testnet.Namespace(t)
	testnet.Address(t, h.wire, "wire", "192.0.2.1/24")
	testnet.ServeDHCP(t, h.wire, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600, Link: "wire"})
	h.callDriver("NetworkDriver.CreateNetwork", unaddressed(`{"parent":"`+h.parent+`","macvlan_mode":"bridge","ipam":"dhcp"}`), 200, "{}")
	answer := h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Options":{},"Interface":{}`), 200, `{"Interface":{"MacAddress":"`)
	var created CreatedEndpoint
	if err := json.Unmarshal([]byte(answer), &created); err != nil {
		t.Fatal(err)
	}
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+ns.Path()+`"`), 200, `{"DisableGatewayService":true}`)
	if link := testnet.Run(t, ns, "ip", "-o", "link", "show", "net1"); !strings.Contains(link, created.Interface.MacAddress) {
		t.Errorf("links %q, want the MAC %s", link, created.Interface.MacAddress)
	}
	if all := testnet.Run(t, ns, "ip", "-o", "-4", "address", "show", "net1"); !strings.Contains(all, "192.0.2.1") {
		t.Errorf("addresses %q, want one of the server's", all)
	}
	if route := testnet.Run(t, ns, "ip", "-4", "route", "show", "default"); !strings.Contains(route, "via 192.0.2.1 dev net1") {
		t.Errorf("default route %q", route)
	}
	h.callDriver("NetworkDriver.Leave", endpoint("a", ""), 200, "{}")
	h.callDriver("NetworkDriver.DeleteEndpoint", endpoint("a", ""), 200, "{}")
	h.expectHeld("")
}

// writeNetwork writes the file of a network of berth's, and the policy.
func (h *host) writeNetwork(name, more, policy string) {
	h.Helper()
	network := "parent = \"" + h.parent + "\"\n" + more + "[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n"
	for path, text := range map[string]string{filepath.Join(h.Dirs.Config, "berth.toml"): policy, config.NetworkFile(h.Dirs.Config, name): network} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			h.Fatal(err)
		}
	}
}

// TestThePolicyHoldsForRequests requires that a user requests addresses and MACs only if the
// policy permits it, and that berth's own choice needs no permission.
func TestThePolicyHoldsForRequests(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", "conflict_timeout = \"0\"\n", "")
	h.callDriver("NetworkDriver.CreateNetwork", request(`{"network":"lan"}`), 200, "{}")
	h.address("192.0.2.9", 500, `--ip \"192.0.2.9\": containers may not request addresses; set static_ips = true`)
	h.address("", 200, "192.0.2.2/24")
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.2/24","MacAddress":"02:00:5e:00:53:09"}`), 500, "static_macs = true")
	h.callDriver("NetworkDriver.CreateEndpoint", endpoint("a", `,"Interface":{"Address":"192.0.2.2/24"}`), 200, "MacAddress")
	h.callDriver("NetworkDriver.Join", endpoint("a", `,"SandboxKey":"`+testnet.Namespace(t).Path()+`"`), 200, "Gateway")
}
