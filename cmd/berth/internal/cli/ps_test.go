package cli

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"berth/internal/state"
	"berth/specs"
)

func mustMAC(s string) specs.MAC {
	m, err := specs.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

func trafficOf(n, bytes uint64) specs.Traffic {
	return specs.Traffic{External: specs.Casts{Unicast: specs.Count{Packets: n, Bytes: bytes}}}
}

// sampleEndpoints returns one of each sort.
func sampleEndpoints() []specs.Endpoint {
	return []specs.Endpoint{{
		ContainerID: hexA, Name: "web", Image: "docker.io/library/nginx", Network: "lan", Interface: "net1",
		Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1.100", VLAN: 100, MTU: 1500,
		MAC:       mustMAC("02:00:5e:00:53:01"),
		Addresses: []netip.Prefix{mustPrefix("192.0.2.65/24"), mustPrefix("2001:db8::41/64")},
		Gateways:  []netip.Addr{mustAddr("192.0.2.1")},
		Routes:    []specs.Route{{To: mustPrefix("198.51.100.0/24"), Via: mustAddr("192.0.2.2"), Metric: 7}},
		Origin:    specs.OriginBerth,
		Phase:     specs.PhaseAttached, Created: clock.Add(-5 * time.Minute), Counted: true,
		Counters: specs.Counters{
			Receive: trafficOf(987654, 1234567890),
			Transmit: specs.Traffic{
				Local:    specs.Casts{Unicast: specs.Count{Packets: 10, Bytes: 840}},
				External: specs.Casts{Unicast: specs.Count{Packets: 1, Bytes: 60}},
			},
		},
		Violations: map[specs.Kind]uint64{specs.MACSpoof: 3},
	}, {
		ContainerID: "berth-demo-two", Network: "", Interface: "lan0",
		Driver: specs.Macvlan, Mode: specs.ModePassthru, Parent: "eth2", MTU: 1400,
		MAC: mustMAC("02:00:5e:00:53:02"), Addresses: []netip.Prefix{},
		Origin: specs.OriginBerth, Phase: specs.PhaseAttaching, Created: clock.Add(-time.Second),
	}, {
		ContainerID: hexB, Network: "lan", Interface: "net1",
		Driver: specs.Macvlan, Mode: specs.ModePrivate, Parent: "eth1.100", VLAN: 100, MTU: 1500,
		MAC: mustMAC("02:00:5e:00:53:03"), Addresses: []netip.Prefix{mustPrefix("192.0.2.66/24")},
		Origin: specs.OriginBerth, Phase: specs.PhaseEnded, Created: clock.Add(-72 * time.Hour), Ended: clock.Add(-time.Hour),
		Counted: true, Counters: specs.Counters{Receive: trafficOf(1, 60)},
	}}
}

// TestPsObserved marks an interface that berth did not create, in tables and as JSON, and shows
// its network by its engine's name.
func TestPsObserved(t *testing.T) {
	w := newWorld(t)
	all := sampleEndpoints()[:1]
	all[0].Origin, all[0].Network = specs.OriginObserved, ""
	all[0].EngineNetwork = &specs.EngineNetwork{Engine: specs.EngineDocker, Name: "home"}
	for _, o := range []listOptions{{}, {wide: true}, {json: true}} {
		w.out.Reset()
		if err := printEndpoints(&w.env, o, all); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.out.String(), "observed") {
			t.Errorf("%+v: no mark in\n%s", o, w.out.String())
		}
		if want := "docker:home"; !o.json && !strings.Contains(w.out.String(), want) {
			t.Errorf("%+v: no %q in\n%s", o, want, w.out.String())
		}
	}
}

func TestPsTable(t *testing.T) {
	w := newWorld(t)
	if err := printEndpoints(&w.env, listOptions{}, sampleEndpoints()); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "ps", `
CONTAINER       NETWORK@IF  ADDRESS, MAC       PARENT, MODE  RX         TX
web             lan@net1    192.0.2.65/24      eth1.100      1.23 GB    900 B
                            2001:db8::41/64    bridge        988k pkts  11 pkts
                            02:00:5e:00:53:01
  mac-spoof 3
berth-demo-two  -@lan0      02:00:5e:00:53:02  eth2          -          -
                                               passthru
  attaching
3f2b00c04b7e    lan@net1    192.0.2.66/24      eth1.100      60 B       0 B
                            02:00:5e:00:53:03  private       1 pkt      0 pkts
  ended 1h ago
`, w.out.String())
	for line := range strings.Lines(w.out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}

func TestPsWide(t *testing.T) {
	const want = `
CONTAINER ID    NAME  NETWORK  INTERFACE  ADDRESSES                      MAC                PARENT    MODE      STATE         RX                  TX              VIOLATIONS
3f2a91c04b7e    web   lan      net1       192.0.2.65/24,2001:db8::41/64  02:00:5e:00:53:01  eth1.100  bridge    attached      1.23 GB, 988k pkts  900 B, 11 pkts  mac-spoof 3
berth-demo-two  -     -        lan0       -                              02:00:5e:00:53:02  eth2      passthru  attaching     -                   -               -
3f2b00c04b7e    -     lan      net1       192.0.2.66/24                  02:00:5e:00:53:03  eth1.100  private   ended 1h ago  60 B, 1 pkt         0 B, 0 pkts     -
`
	w := newWorld(t)
	if err := printEndpoints(&w.env, listOptions{wide: true}, sampleEndpoints()); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "ps --wide", want, w.out.String())
	w = newWorld(t)
	w.env.Width = 200
	if err := printEndpoints(&w.env, listOptions{}, sampleEndpoints()); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "ps on a wide terminal", want, w.out.String())
}

func TestPsQuiet(t *testing.T) {
	w := newWorld(t)
	all := sampleEndpoints()
	if err := printEndpoints(&w.env, listOptions{quiet: true}, append(all, all[0])); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "ps -q", hexA+"\nberth-demo-two\n"+hexB+"\n", w.out.String())
}

// putRecord adds an attachment on the network lan to the store.
func (w *world) putRecord(cookie uint64, change func(*state.Attachment)) {
	w.t.Helper()
	a := &state.Attachment{
		Cookie: cookie, NSID: 1, Containers: []string{"web"}, Network: "lan",
		Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1", ParentIndex: 7,
		Interface: "net1", LinkIndex: 2, MAC: mustMAC("02:00:5e:00:53:01"), MTU: 1500,
		Addresses: []netip.Prefix{mustPrefix("192.0.2.65/24")},
		Phase:     specs.PhaseAttached, Created: clock.Add(-time.Minute),
	}
	change(a)
	store := state.Open(w.dir + "/run")
	if err := store.Update(context.Background(), func(tx *state.Tx) error { return tx.Put(a) }); err != nil {
		w.t.Fatal(err)
	}
}

// TestPsKeepsAContainersRowsTogether: an interface that a container got later is beside its first.
func TestPsKeepsAContainersRowsTogether(t *testing.T) {
	w := newWorld(t)
	w.putRecord(1, func(*state.Attachment) {})
	w.putRecord(2, func(a *state.Attachment) { a.Containers, a.Created = []string{"db"}, clock })
	w.putRecord(1, func(a *state.Attachment) { a.Interface, a.Created = "net2", clock.Add(time.Second) })
	var all []specs.Endpoint
	if err := json.Unmarshal([]byte(w.mustRun("ps", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range all {
		order = append(order, e.ContainerID+" "+e.Interface)
	}
	mustEqual(t, "order", "web net1, web net2, db net1", strings.Join(order, ", "))
}

// TestPsOfRecords: without an agent, and before one ever ran, the records are enough.
func TestPsOfRecords(t *testing.T) {
	w := newWorld(t)
	const none = "CONTAINER ID  NAME  NETWORK  INTERFACE  ADDRESSES  MAC  PARENT  MODE  STATE  RX  TX  VIOLATIONS\n"
	mustEqual(t, "ps of nothing", none, w.mustRun("ps", "--wide"))
	if warning := w.err.String(); !strings.Contains(warning, "are not listed: no agent is running; start it with `berthd`") {
		t.Errorf("without an agent ps warns %q", warning)
	}
	mustEqual(t, "ps --json of nothing", "[]\n", w.mustRun("ps", "--json"))
	mustEqual(t, "warning of ps --json", "", w.err.String())
	w.putRecord(2, func(a *state.Attachment) { a.Containers, a.Created = []string{"db"}, clock })
	w.putRecord(3, func(*state.Attachment) {})
	w.putRecord(1, func(a *state.Attachment) {
		a.Containers, a.Phase, a.Ended = []string{"gone"}, specs.PhaseEnded, clock
		a.Final = &specs.Counters{Receive: trafficOf(2, 120)}
	})
	mustEqual(t, "ps -q", "web\ndb\n", w.mustRun("ps", "-q"))
	mustEqual(t, "ps -aq", "web\ndb\ngone\n", w.mustRun("ps", "-aq"))
	var all []specs.Endpoint
	if err := json.Unmarshal([]byte(w.mustRun("ps", "--all", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || all[0].Counted || !all[2].Counted || all[2].Counters.Receive.Total().Bytes != 120 {
		t.Errorf("ps --all --json: %+v", all)
	}
	mustEqual(t, "ps", `
CONTAINER  NETWORK@IF  ADDRESS, MAC       PARENT, MODE  RX  TX
web        lan@net1    192.0.2.65/24      eth1          -   -
                       02:00:5e:00:53:01  bridge
db         lan@net1    192.0.2.65/24      eth1          -   -
                       02:00:5e:00:53:01  bridge
`, w.mustRun("ps"))
	w.mustFail(exitUsage, `berth ps: unexpected argument "web"`, "ps", "web")
	w.mustFail(exitUsage, "berth ps: --quiet and --json exclude each other", "ps", "-q", "--json")
}
