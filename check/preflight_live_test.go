package check

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// host is a namespace that stands for a host, with the parent eth1 whose wire ends as
// "port" in another.
type host struct {
	*testing.T
	ns, lan *testnet.NS
	c       *Checker
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{T: t, ns: testnet.Namespace(t), lan: testnet.Namespace(t)}
	testnet.Veth(t, "eth1", h.ns, "port", h.lan)
	testnet.Address(t, h.ns, "eth1", "192.0.2.9/24")
	testnet.In(t, h.ns, func() {
		handle, err := network.NewHandle()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(handle.Close)
		h.c = &Checker{Dirs: config.Dirs{Config: dir + "/etc", State: dir + "/run", BPFFS: dir + "/bpf"}, Host: handle}
	})
	return h
}

// writeNetwork writes a network file with an address range and additional text.
func (h *host) writeNetwork(name, text string) {
	h.Helper()
	path := config.NetworkFile(h.c.Dirs.Config, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.Fatal(err)
	}
}

const lan = "parent = \"eth1\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\nip_range = \"192.0.2.64/26\"\n"

// preflightLines returns the lines without those on the host in general.
func (h *host) preflightLines(name string) []Line {
	h.Helper()
	var lines []Line
	for _, l := range h.c.Preflight(h.Context(), name) {
		if l.Subject != "host" {
			lines = append(lines, l)
		}
	}
	return lines
}

func (h *host) runIP(args string) {
	h.Helper()
	testnet.Run(h, h.ns, "ip", strings.Fields(args)...)
}

// wantLine requires that all lines are passes but those of one check.
func wantLine(t *testing.T, what string, lines []Line, check string, result Result, part string) {
	t.Helper()
	found := false
	for _, l := range lines {
		if l.Check == check && l.Result == result && strings.Contains(l.Message, part) {
			found = true
		} else if l.Result != Pass {
			t.Errorf("%s: also %+v", what, l)
		}
	}
	if !found {
		t.Errorf("%s: no %s of %q with %q in %+v", what, result, check, part, lines)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before      string // ip(8) on the host
		file        string // network lan; "" for the usual one
		check, part string
		result      Result
	}{
		"all is well":      {check: "up", result: Pass, part: "yes"},
		"down":             {before: "link set eth1 down", check: "up", result: Fail, part: "eth1 is down"},
		"host's address":   {before: "addr add 192.0.2.70/24 dev eth1", check: "IPv4", result: Warn, part: "192.0.2.70"},
		"host's gateway":   {before: "addr add 192.0.2.1/24 dev eth1", check: "IPv4", result: Fail, part: "192.0.2.1 is an address of eth1"},
		"promiscuous veth": {before: "link set eth1 promisc on", check: "filter", result: Pass, part: "promiscuous"},
		"MTU":              {file: "mtu = 1600\n" + lan, check: "MTU", result: Fail, part: "1600 is more than the 1500"},
		"MTU that fits":    {file: "mtu = 1400\n" + lan, check: "MTU", result: Pass, part: "1400"},
		"gone":             {file: strings.Replace(lan, "eth1", "eth7", 1), check: "interface", result: Fail, part: "no such interface; possible parents: eth1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			if c.before != "" {
				h.runIP(c.before)
			}
			h.writeNetwork("lan", cmpOr(c.file, lan))
			lines := h.preflightLines("lan")
			if name == "down" { // then it has no carrier either
				wantLine(t, name, dropCheck(lines, "carrier"), c.check, c.result, c.part)
				return
			}
			wantLine(t, name, lines, c.check, c.result, c.part)
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func dropCheck(lines []Line, check string) (rest []Line) {
	for _, l := range lines {
		if l.Check != check {
			rest = append(rest, l)
		}
	}
	return rest
}

// TestPreflightRecorded: records show interfaces that are not visible from the host.
func TestPreflightRecorded(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", lan)
	p, err := h.c.Host.Parent("eth1")
	if err != nil {
		t.Fatal(err)
	}
	a := &state.Attachment{
		Cookie: 1, Containers: []string{"web"}, Network: "tap", Driver: specs.Macvlan, Mode: specs.ModePassthru,
		Parent: "eth1", ParentIndex: p.Index, Interface: "net1", Phase: specs.PhaseAttached,
	}
	h.putRecord(a)
	wantLine(t, "recorded", h.preflightLines("lan"), "beside", Fail, "net1 of container web")
	a.Mode = specs.ModePrivate
	h.putRecord(a)
	wantLine(t, "recorded in private mode", h.preflightLines("lan"), "beside", Pass, "nothing")
	pool := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24"), IPRange: netip.MustParsePrefix("192.0.2.64/26")}, nil)
	h.updateStore(func(tx *state.Tx) error {
		for range 64 {
			if _, err := lease.In(tx, a.Domain()).Take(pool, lease.Owner{Key: a.Key(), Container: "web", Network: "lan"}); err != nil {
				return err
			}
		}
		return nil
	})
	wantLine(t, "all held", h.preflightLines("lan"), "IPv4", Fail, "64 addresses, all held")
}

func (h *host) putRecord(a *state.Attachment) {
	h.Helper()
	h.updateStore(func(tx *state.Tx) error { return tx.Put(a) })
}

func (h *host) updateStore(fn func(*state.Tx) error) {
	h.Helper()
	if err := state.Open(h.c.Dirs.State).Update(h.Context(), fn); err != nil {
		h.Fatal(err)
	}
}

func TestPreflightTargets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	subjects := func(name string) string {
		var all []string
		for _, l := range h.preflightLines(name) {
			if len(all) == 0 || all[len(all)-1] != l.Subject {
				all = append(all, l.Subject)
			}
		}
		return strings.Join(all, "|")
	}
	if got := subjects(""); got != "" {
		t.Errorf("no networks: %s", got)
	}
	h.writeNetwork("lan", lan)
	h.writeNetwork("dmz", "parent = \"eth1\"\n")
	h.writeNetwork("far", "parent = \"eth7\"\n")
	for name, want := range map[string]string{
		"":     "parent eth1|network dmz|network lan|parent eth7|network far",
		"lan":  "parent eth1|network lan",
		"eth1": "parent eth1|network dmz|network lan",
		"eth7": "parent eth7|network far",
		"lo":   "parent lo",
		"nope": "nope",
	} {
		if got := subjects(name); got != want {
			t.Errorf("check %q is about %q, want %q", name, got, want)
		}
	}
	wantLine(t, "loopback", h.preflightLines("lo"), "interface", Fail, "not an Ethernet")
	wantLine(t, "nonsense", h.preflightLines("nope"), "name", Fail, "neither a network nor an interface")
	h.writeNetwork("bad", "parents = \"eth1\"\n")
	if lines := h.preflightLines("bad"); len(lines) != 0 {
		t.Errorf("its own line tells enough: %+v", lines)
	}
	if got := mustFindLine(t, h.c.Preflight(h.Context(), "bad"), "config"); got.Result != Fail || !strings.Contains(got.Message, "bad.toml") {
		t.Errorf("a broken network: %+v", got)
	}
}

// TestPreflightByAlternativeNames: a parent may be given by any of its names, in a file and to the command.
func TestPreflightByAlternativeNames(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.runIP("link property add dev eth1 altname lan.100")
	h.writeNetwork("dot", strings.Replace(lan, "eth1", "lan.100", 1))
	h.writeNetwork("plain", lan)
	for _, name := range []string{"eth1", "lan.100"} {
		checked := map[string]bool{}
		for _, l := range h.preflightLines(name) {
			checked[l.Subject] = true
			if l.Result == Fail {
				t.Errorf("check %s: %+v", name, l)
			}
			if l.Check == "kind" && strings.Contains(l.Message, "VLAN") {
				t.Errorf("check %s takes the parent for a VLAN: %+v", name, l)
			}
		}
		if !checked["network dot"] || !checked["network plain"] {
			t.Errorf("check %s is about %v, want both networks", name, checked)
		}
	}
}
