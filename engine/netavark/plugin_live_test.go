package netavark

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/engine/doortest"
	"berth/hook"
	"berth/internal/testnet"
	"berth/specs"
)

// host is a host on which the plugin runs.
type host struct {
	*doortest.Host
	step func(string) error
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{Host: doortest.New(t, "conflict_timeout = \"0\"\n"+doortest.LAN)}
	h.Write("berth.toml", "[policy]\nparents = [\"PARENT\"]\nmodes = [\"bridge\"]\nstatic_ips = true\nstatic_macs = true\n")
	return h
}

// runPlugin runs a command, and returns its standard output and its exit status.
func (h *host) runPlugin(input string, args ...string) (string, int) {
	h.Helper()
	var out bytes.Buffer
	p := &Plugin{
		Hook:    &hook.Hook{Dirs: h.Dirs, Store: h.Store, Log: slog.New(slog.NewTextHandler(h.Output(), nil)), Step: h.step},
		Version: "v1", Stdin: strings.NewReader(h.Fill(input)), Stdout: &out,
	}
	status := p.Run(h.Context(), args)
	return out.String(), status
}

func (h *host) mustRun(input string, args ...string) string {
	h.Helper()
	out, status := h.runPlugin(input, args...)
	if status != 0 {
		h.Fatalf("%q: status %d: %s", args, status, out)
	}
	return out
}

// expectError requires that a command fails with an error in netavark's form.
func (h *host) expectError(want, input string, args ...string) {
	h.Helper()
	out, status := h.runPlugin(input, args...)
	var got map[string]string
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 1 || len(got) != 1 || !strings.Contains(got["error"], want) {
		h.Errorf("%q with %s: status %d, %s, %v; want 1 and %q", args, input, status, out, err, want)
	}
}

// callOn returns a request for a container on a network of podman.
func callOn(id, network, interfaceName, more string) string {
	return fmt.Sprintf(`{"container_id":%q,"container_name":"web","port_mappings":null,"network":%s,
		"network_options":{"aliases":["x"],"interface_name":%q%s}}`, id, network, interfaceName, more)
}

const (
	named   = `{"name":"front","id":"1","driver":"berth","subnets":null,"options":{"network":"lan"},"ipam_options":{"driver":"none"}}`
	inPlace = `{"name":"own","id":"2","driver":"berth","options":{"parent":"PARENT","conflict_timeout":"0"},"ipam_options":{"driver":"none"},
		"subnets":[{"subnet":"192.0.2.0/24","gateway":"192.0.2.1","lease_range":{"start_ip":"192.0.2.65","end_ip":"192.0.2.127"}}]}`
)

func TestSetupAndTeardown(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a, b := testnet.Namespace(t), testnet.Namespace(t)
	for _, c := range []struct{ input, path, address, mac string }{
		{callOn("c1", named, "eth0", ""), a.Path(), "192.0.2.2/24", ""},
		{callOn("c2", inPlace, "eth0", ""), b.Path(), "192.0.2.65/24", ""},
		{callOn("c2", named, "eth1", `,"static_ips":["192.0.2.9"],"static_mac":"02:00:5e:00:53:01"`), b.Path(), "192.0.2.9/24", "02:00:5e:00:53:01"},
	} {
		h.expectStatus(h.mustRun(c.input, "setup", c.path), c.address, c.mac)
	}
	h.expectError("eth0", callOn("c1", named, "eth0", ""), "setup", a.Path())
	h.mustRun(callOn("c2", inPlace, "eth1", ""), "teardown", b.Path()) // of another network: nothing
	if links := testnet.Run(t, b, "ip", "-o", "link", "show", "type", "macvlan"); strings.Count(links, "macvlan")+strings.Count(links, "\n") < 2 {
		t.Errorf("a teardown of another network took an interface: %s", links)
	}
	for _, c := range []struct{ input, path string }{
		{callOn("c2", named, "eth1", ""), b.Path()}, {callOn("c2", inPlace, "eth0", ""), "/run/netns/gone"}, {callOn("c1", named, "eth0", ""), a.Path()},
	} {
		for range 2 {
			if out := h.mustRun(c.input, "teardown", c.path); out != "" {
				t.Errorf("teardown printed %q", out)
			}
		}
	}
	h.RequireNothing(a, b)
}

func (h *host) expectStatus(out, address, mac string) {
	h.Helper()
	var got statusBlock
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Interfaces) != 1 {
		h.Fatalf("%s: %v", out, err)
	}
	for _, one := range got.Interfaces {
		if len(one.Subnets) != 1 || one.Subnets[0].Address.String() != address || one.Subnets[0].Gateway.String() != "192.0.2.1" && mac == "" ||
			one.MAC.IsZero() || mac != "" && one.MAC.String() != mac {
			h.Errorf("%s, want address %s, MAC %q", out, address, mac)
		}
	}
}

// TestSetupBesideADefaultRoute requires that the engine's own default route stays.
func TestSetupBesideADefaultRoute(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ns := testnet.Namespace(t)
	testnet.Veth(t, "eth0", ns, "peer", testnet.Namespace(t))
	testnet.Run(t, ns, "ip", "route", "add", "default", "dev", "eth0")
	h.mustRun(callOn("c1", named, "eth1", ""), "setup", ns.Path())
	if got := testnet.Run(t, ns, "ip", "-4", "route", "show", "default"); strings.Count(got, "default") != 1 || !strings.Contains(got, "eth0") {
		t.Errorf("default routes: %s", got)
	}
	h.mustRun(callOn("c1", named, "eth1", ""), "teardown", ns.Path())
}

// TestTeardownLeavesOthers requires that a teardown leaves the interfaces that an
// administrator connected.
func TestTeardownLeavesOthers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ns := testnet.Namespace(t)
	h.mustRun(callOn("c1", named, "eth0", ""), "setup", ns.Path())
	admin := &hook.Hook{Dirs: h.Dirs, Store: h.Store, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	h.Write("networks.d/side.toml", "parent = \"PARENT\"\ndefault_route = false\n")
	s := hook.Sandbox{ID: "c1", NetNS: ns.Path(), Admin: true}
	if _, err := admin.Attach(t.Context(), s, []specs.Selection{{Network: "side", Interface: "eth9"}}); err != nil {
		t.Fatal(err)
	}
	h.mustRun(callOn("c1", named, "eth9", ""), "teardown", ns.Path())
	h.mustRun(callOn("c1", named, "eth0", ""), "teardown", ns.Path())
	if left := h.Records(); !strings.Contains(left, "eth9") || strings.Contains(left, "eth0") {
		t.Errorf("left:\n%s", left)
	}
}

// TestAFailedSetupLeavesNothing fails the setup after each step.
func TestAFailedSetupLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ns := testnet.Namespace(t)
	for n := 1; ; n++ {
		left := n
		h.step = func(name string) error {
			if left--; left == 0 {
				return fmt.Errorf("failed after %q", name)
			}
			return nil
		}
		out, status := h.runPlugin(callOn("c1", named, "eth0", ""), "setup", ns.Path())
		if status == 0 {
			h.mustRun(callOn("c1", named, "eth0", ""), "teardown", ns.Path())
			if n < 5 {
				t.Errorf("only %d steps failed", n-1)
			}
			return
		}
		if records := h.Records(); !strings.Contains(out, "failed after") || records != "" {
			t.Errorf("%s; left:\n%s", out, records)
		}
		if links := testnet.Run(t, ns, "ip", "-o", "link", "show", "type", "macvlan"); links != "" {
			t.Errorf("%s; left behind: %s", out, links)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var got, want map[string]any
	text := strings.Replace(named, `"ipam_options":{"driver":"none"}`, `"dns_enabled":true,"labels":{"a":"b"}`, 1)
	if err := json.Unmarshal([]byte(h.mustRun(text, "create")), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	want["ipam_options"], want["dns_enabled"] = map[string]any{"driver": "none"}, false
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	h.mustRun(strings.Replace(inPlace, "none", "host-local", 1), "create")
	repeated := func(subnet string) string {
		return `{"options":{"network":"lan"},"subnets":[{"subnet":` + subnet + `}]}`
	}
	for _, subnet := range []string{`"192.0.2.0/24"`, `"192.0.2.0/24","gateway":"192.0.2.1"`} {
		if out := h.mustRun(repeated(subnet), "create"); !strings.Contains(out, `"subnets":null`) {
			t.Errorf("podman would keep the subnet: %s", out)
		}
	}
	for input, want := range map[string]string{
		repeated(`"198.51.100.0/24"`):                    `--subnet "198.51.100.0/24": network "lan" has --subnet 192.0.2.0/24`,
		repeated(`"192.0.2.0/25"`):                       `--subnet "192.0.2.0/25": network "lan" has --subnet 192.0.2.0/24`,
		repeated(`"192.0.2.0/24","gateway":"192.0.2.9"`): `--gateway "192.0.2.9": network "lan" has 192.0.2.1`,
		repeated(`"192.0.2.0/24","lease_range":{"start_ip":"192.0.2.65","end_ip":"192.0.2.127"}`): `network "lan" gives out addresses of 192.0.2.0/24`,
		`{"options":{"network":"lam"},"subnets":[{"subnet":"192.0.2.0/24"}]}`:                     "there is no such network",
		`{"options":{"network":"lam"}}`:                                                               "-o network",
		`{"options":{"parent":"eth77"}}`:                                                              "[policy] parents",
		`{"options":{"parent":"PARENT","macvlan_mode":"vepa"}}`:                                       "[policy] modes",
		`{"options":{"parent":"PARENT","vlan":"7"}}`:                                                  "vlan",
		`{"options":{"parent":"PARENT"},"ipam_options":{"driver":"x"}}`:                               "--ipam-driver",
		`{"options":{"parent":"PARENT"},"subnets":[{"subnet":"192.0.2.1/32","gateway":"192.0.2.1"}]}`: "it has no address for a container",
		"not JSON":                 "standard input",
		strings.Repeat("x", 2<<20): "more than",
	} {
		h.expectError(want, input, "create")
	}
	h.Write("networks.d/lan.toml", "parent = \"PARENT\"\nnamespaces = [\"prod\"]\n")
	h.expectError("namespaces", text, "create")
}

func TestBadCalls(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ns := testnet.Namespace(t).Path()
	h.expectError("create, setup, teardown or info", "")
	h.expectError("create, setup, teardown or info", "", "update")
	h.expectError("arguments of setup", "", "setup")
	h.expectError("arguments of create", "", "create", "x")
	h.expectError("no such file", callOn("c1", named, "eth0", ""), "setup", "/run/netns/none")
	h.expectError("host's network namespace", callOn("c1", named, "eth0", ""), "setup", testnet.Here(t).Path())
	h.expectError("a container's id", callOn("", named, "eth0", ""), "setup", ns)
	h.expectError("interface_name", callOn("c1", named, "", ""), "setup", ns)
	h.expectError("interface_name", callOn("c1", named, "../x", ""), "teardown", ns)
	h.expectError("192.0.2.0/24", callOn("c1", named, "eth0", `,"static_ips":["198.51.100.7"]`), "setup", ns)
	h.expectError("unable to parse IP", callOn("c1", named, "eth0", `,"static_ips":["nonsense"]`), "setup", ns)
	h.expectError("unicast", callOn("c1", named, "eth0", `,"static_mac":"03:00:5e:00:53:01"`), "setup", ns)
	h.expectError("option mode", callOn("c1", named, "eth0", `,"options":{"mode":"x"}`), "setup", ns)
	h.Write("berth.toml", "[policy]\nstatic_ips = false\n")
	h.expectError("static_ips", callOn("c1", named, "eth0", `,"static_ips":["192.0.2.9"]`), "setup", ns)
	h.RequireNothing()
}

func TestInfo(t *testing.T) {
	t.Parallel()
	if got := newHost(t).mustRun("", "info"); got != `{"version":"v1","api_version":"1.0.0"}`+"\n" {
		t.Error(got)
	}
}
