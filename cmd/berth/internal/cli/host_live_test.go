package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// hostWorld is a world whose host is a namespace with the parent eth1.
type hostWorld struct {
	*world
	host *testnet.NS
}

func newHostWorld(t *testing.T) *hostWorld {
	testnet.Need(t, testnet.Root, testnet.Macvlan)
	w := &hostWorld{newWorld(t), testnet.Namespace(t)}
	testnet.Veth(t, "eth1", w.host, "eth0", testnet.Namespace(t))
	w.withNetworks("lan --subnet 192.0.2.0/24 --gateway 192.0.2.1 --ip-range 192.0.2.64/26 -o parent=eth1 -o conflict_timeout=0s")
	return w
}

func (w *hostWorld) mustRun(args ...string) (out string) {
	w.t.Helper()
	testnet.In(w.t, w.host, func() { out = w.world.mustRun(args...) })
	return out
}

func (w *hostWorld) mustFail(code int, want string, args ...string) {
	w.t.Helper()
	testnet.In(w.t, w.host, func() { w.world.mustFail(code, want, args...) })
}

// attachContainer records a container on the parent.
func (w *hostWorld) attachContainer() {
	index := testnet.Link(w.t, w.host, "eth1").Attrs().Index
	w.putRecord(1, func(a *state.Attachment) { a.ParentIndex = index })
}

func TestHostEnableAndDisable(t *testing.T) {
	w := newHostWorld(t)
	w.attachContainer()
	mustEqual(t, "ls of nothing", "NETWORK  INTERFACE  ADDRESS  MAC  PARENT  ROUTES  STATE\n", w.mustRun("host", "ls"))
	mustEqual(t, "ls --json of nothing", "[]\n", w.mustRun("host", "ls", "--json"))
	mustEqual(t, "disable of nothing", "", w.mustRun("host", "disable", "lan"))
	mustEqual(t, "disable of nothing as JSON", "[]\n", w.mustRun("host", "disable", "--json", "lan"))

	out := w.mustRun("host", "enable", "lan", "--ip", "192.0.2.250")
	if !strings.HasPrefix(out, "berth-lan ") || !strings.HasSuffix(out, " 192.0.2.250/24, routes to 1 address\n") {
		t.Errorf("enable: %q", out)
	}
	mac := strings.Fields(out)[1]
	mustEqual(t, "ls", `
NETWORK  INTERFACE  ADDRESS         MAC                PARENT  ROUTES  STATE
lan      berth-lan  192.0.2.250/24  `+mac+`  eth1    1       enabled
`, w.mustRun("host", "ls"))
	mustEqual(t, "ls -q", "lan\n", w.mustRun("host", "ls", "-q"))
	var views []struct{ Host specs.HostShim }
	for _, line := range []string{"network inspect lan", "network ls --json"} {
		if err := json.Unmarshal([]byte(w.mustRun(strings.Fields(line)...)), &views); err != nil || views[0].Host.MAC.String() != mac {
			t.Errorf("%s: %+v, %v", line, views, err)
		}
	}
	var shims []specs.HostShim
	for _, line := range []string{"host enable lan --json", "host ls --json", "host disable lan --json"} {
		if err := json.Unmarshal([]byte(w.mustRun(strings.Fields(line)...)), &shims); err != nil || len(shims) != 1 ||
			shims[0].MAC.String() != mac || shims[0].Routes[0].String() != "192.0.2.65" {
			t.Errorf("%s: %+v, %v", line, shims, err)
		}
	}
	mustEqual(t, "ls -q after disable", "", w.mustRun("host", "ls", "-q"))
}

func TestHostRefusals(t *testing.T) {
	w := newHostWorld(t)
	w.mustFail(exitUsage, "berth host: the command is missing", "host")
	w.mustFail(exitUsage, "berth host enable: NETWORK is missing", "host", "enable")
	w.mustFail(exitUsage, `berth host enable: --ip "192.0.2.0/24": want an address, as 192.0.2.250`, "host", "enable", "lan", "--ip", "192.0.2.0/24")
	w.mustFail(exitFailed, `berth: host shim of "lan": --ip "198.51.100.1": no subnet of network "lan" contains it`, "host", "enable", "lan", "--ip", "198.51.100.1")
	for _, what := range []string{"enable", "disable"} {
		w.mustFail(exitFailed, `berth: network "lam": there is no such network in`, "host", what, "lam")
		w.mustFail(exitUsage, `: network "../lan": want `, "host", what, "../lan")
	}
}

func TestNetworkRmRefusesAHostShim(t *testing.T) {
	w := newHostWorld(t)
	w.mustRun("host", "enable", "lan")
	w.mustFail(exitFailed, `berth: network "lan" is in use by this host (interface berth-lan); remove the interface first: berth host disable lan`, "network", "rm", "lan")
	mustEqual(t, "ps", "", w.mustRun("ps", "-q"))
	w.mustRun("host", "disable", "lan")
	mustEqual(t, "rm", "lan\n", w.mustRun("network", "rm", "lan"))
}

func TestGCRepairsHosts(t *testing.T) {
	w := newHostWorld(t)
	w.mustRun("host", "enable", "lan")
	const nothing = "attachments released: 0\ncounters drained: 0\nrecords of ended attachments removed: 0\n"
	mustEqual(t, "gc", nothing, w.mustRun("gc"))
	testnet.Run(t, w.host, "ip", "route", "add", "192.0.2.99", "dev", "berth-lan", "proto", "98")
	mustEqual(t, "gc of a route", nothing+"routes of the host repaired: 1\ninterfaces of the host removed: 0\n", w.mustRun("gc"))
	testnet.Run(t, w.host, "ip", "link", "del", "berth-lan")
	if got := w.mustRun("gc", "--json"); !strings.Contains(got, "    \"partial\": false,\n    \"host\": {\n      \"removed\": [\n        \"lan\"\n") {
		t.Errorf("gc of a shim: %s", got)
	}
	mustEqual(t, "ls", "", w.mustRun("host", "ls", "-q"))
}
