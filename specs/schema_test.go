package specs

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// loadSchema compiles one of the schemas; they may refer to each other.
func loadSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob("schema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("berth:"+strings.TrimSuffix(filepath.Base(file), ".json"), doc); err != nil {
			t.Fatal(err)
		}
	}
	return c.MustCompile("berth:" + name)
}

func validateValue(t *testing.T, s *jsonschema.Schema, v any) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(asJSON(t, v)))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func fullEndpoint() Endpoint {
	count := Casts{Unicast: Count{Packets: 3, Bytes: 300}}
	return Endpoint{
		ContainerID: "web", Containers: []string{"web", "side"}, ContainerNames: []string{"web-0", "side-0"}, Engine: EnginePodman, Door: "netavark", Name: "web-0", Image: "web:1", Pod: "web-0", Namespace: "prod", Labels: map[string]string{"app": "shop"},
		Network: "lan", EngineNetwork: &EngineNetwork{Engine: EngineDocker, Name: "lan"}, Interface: "net1", Driver: Macvlan, Mode: ModeBridge, Parent: "eth1.100", VLAN: 100,
		MAC: MAC{0x02, 0, 0x5e, 0, 0x53, 1}, MTU: 1500,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}, Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		LinkLocal: netip.MustParseAddr("fe80::53"), IPv6Token: netip.MustParseAddr("::53"),
		Routes: []Route{{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.1"), Metric: 5}},
		DHCP:   []DHCPStatus{{Family: "ipv4", Lease: fullLease()}, {Family: "ipv6", Lost: "the lease ended"}},
		Origin: OriginBerth, Phase: PhaseEnded, Created: time.Now(), Ended: time.Now(), Vanished: time.Now(), Counted: true,
		Counters:   Counters{Receive: Traffic{Local: count}, Transmit: Traffic{External: count}},
		Violations: map[Kind]uint64{MACSpoof: 1}, Dropped: map[Kind]uint64{MACSpoof: 1}, GroupPackets: new(uint64(3)),
	}
}

func fullLease() *DHCPLease {
	addr := netip.MustParseAddr("192.0.2.1")
	return &DHCPLease{
		Address: netip.MustParsePrefix("192.0.2.7/24"), Server: addr, ServerMAC: MAC{0x02, 0, 0x5e, 0, 0x53, 9}, ServerID: "0003", ClientID: "01", Hostname: "web",
		Obtained: time.Now(), Renewed: time.Now(), Expires: new(time.Now()), Lifetime: 600, Preferred: 600, T1: 300, T2: 525,
		Routers: []netip.Addr{addr}, Routes: []Route{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: addr}}, MTU: 1400,
		DNS: []netip.Addr{addr}, Domain: "example.net", Search: []string{"example.net"}, NTP: []netip.Addr{addr},
	}
}

func fullEvent() Event {
	mac := MAC{0x02, 0, 0x5e, 0, 0x53, 1}
	party := &Party{ContainerID: "web", Name: "web-0", Network: "lan", Interface: "net1", MAC: mac}
	return Event{
		Time: time.Now(), Kind: MACSpoof, Certainty: Certain, Evidence: "netns-cookie", Direction: "egress",
		Parent: "eth1", VLAN: 100, MAC: FrameMAC(mac), Sender: party, Owner: party, Receiver: party,
		Detail: "mode bridge, declared private", Dropped: true, LeftOut: 4,
		Frame: Frame{
			Source: FrameMAC(mac), Destination: "ff:ff:ff:ff:ff:ff", EtherType: "0x0800", Protocol: "udp",
			SourceIP: netip.MustParseAddr("192.0.2.7"), DestinationIP: netip.MustParseAddr("192.0.2.8"),
			SourcePort: 53, DestinationPort: 53, Length: 60, Bytes: []byte{1, 2, 3},
		},
	}
}

func fullHostShim() HostShim {
	return HostShim{
		Network: "lan", Interface: "berth-lan", State: HostEnabled, Driver: Macvlan, Mode: ModeBridge,
		Parent: "eth1.100", VLAN: 100, MAC: MAC{0x02, 0, 0x5e, 0, 0x53, 2}, MTU: 1500,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.65/24")},
		Routes:    []netip.Addr{netip.MustParseAddr("192.0.2.66")}, Created: time.Now(),
	}
}

func fullStats() Stats {
	casts := CastRates{Unicast: Rate{Packets: 1.5, Bytes: 90}}
	rates := Rates{Receive: TrafficRates{Local: casts}, Transmit: TrafficRates{External: casts}}
	e := fullEndpoint()
	return Stats{
		Time: time.Now(), Interval: 2, ContainerID: e.ContainerID, Name: e.Name, Pod: e.Pod, Namespace: e.Namespace,
		Network: e.Network, EngineNetwork: e.EngineNetwork, Interface: e.Interface, Parent: e.Parent, VLAN: e.VLAN, MAC: e.MAC, Origin: OriginBerth, Phase: e.Phase, Counted: true,
		Totals:     StatsTotals{Receive: e.Counters.Receive.Total(), Transmit: e.Counters.Transmit.Total()},
		Rates:      &StatsRates{Receive: rates.Receive.Total(), Transmit: rates.Transmit.Total()},
		Split:      StatsSplit{Totals: e.Counters, Rates: &rates},
		Violations: e.Violations, Dropped: e.Dropped, GroupPackets: e.GroupPackets,
	}
}

func fullParent() ParentStatus {
	return ParentStatus{Name: "eth1", Index: 4, MAC: MAC{0x02, 0, 0x5e, 0, 0x53, 1}, State: ParentFailed, Attach: "tcx",
		Networks: []string{"lan"}, Endpoints: 3, Problem: "no room"}
}

func fullStatus() AgentStatus {
	return AgentStatus{Version: "1.2.3", PID: 7, Started: time.Now(), Attached: true, Metrics: "127.0.0.1:9477",
		Cluster: true, Endpoints: 3, MaxEndpoints: 4096, EventsLost: 1, Parents: []ParentStatus{fullParent()}, Problems: []string{"no room"}, LastReconciled: time.Now()}
}

func fullCluster() ClusterStatus {
	id := strings.Repeat("0a", 16)
	return ClusterStatus{Node: "node1", ID: id, Contact: new(time.Now()), Error: "no answer in time", Invalid: []string{"key"},
		Nodes: []ClusterNode{{Name: "node1", ID: id, This: true, Present: true, Since: time.Now(), Blocks: 2, Size: 16, Used: 3}},
		Pools: []ClusterPool{{Domain: "lan-hq", Subnet: "192.0.2.0/24", Range: "192.0.2.64/26", Block: 8, Size: 64, Blocks: 8,
			Claimed: 2, Idle: 1, Used: 3, Here: 2, FreeHere: 13, Error: "other pool"}},
		Attachments: []ClusterAttachment{{Node: "node1", Container: "c1", Name: "web", Network: "lan", Domain: "lan-hq", Interface: "net1",
			MAC: MAC{0x02, 1, 2, 0, 0, 1}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.64")}, Observed: true,
			Conflicts: []string{"192.0.2.64"}}}}
}

func fullChanges() Changes {
	e := fullEndpoint()
	n := e.Counters.Numbers()
	return Changes{Whole: true, Removed: []uint64{1}, Endpoints: []ChangedEndpoint{{ID: 2, Endpoint: e}}, Counts: AppendPacked(nil, 3, &n),
		Marks: []ChangedMarks{{ID: 3, GroupPackets: e.GroupPackets, Violations: e.Violations, Dropped: e.Dropped}}, Version: "a-1"}
}

func fullCheckLine() CheckLine {
	return CheckLine{Subject: "host", Check: "podman", Result: CheckWarn, Message: "it ignores berth", Remedy: "`berth install --engine podman`"}
}

// TestSchemaOfNetworkStatus holds the keys that the agent adds to a network.
func TestSchemaOfNetworkStatus(t *testing.T) {
	held := []PoolAddress{{Address: netip.MustParseAddr("192.0.2.65"), Holder: "web"}}
	host := fullHostShim()
	s := NetworkStatus{Network: &Network{Name: "lan", Driver: Macvlan, Mode: ModeBridge, Parent: "eth1"}, Host: &host, Problem: "no parent",
		Pools: []PoolStatus{{Subnet: netip.MustParsePrefix("192.0.2.0/24"), Range: netip.MustParsePrefix("192.0.2.64/26"), Size: 62, Free: 61,
			Held: held, Foreign: held, Reserved: held, Exclude: []Exclusion{{Prefix: netip.MustParsePrefix("192.0.2.72/29")}}}}}
	schema := loadSchema(t, "network-status")
	if err := validateValue(t, schema, s); err != nil {
		t.Error(err)
	}
	s.Pools[0].Held = nil // the agent writes a list
	if err := validateValue(t, schema, s); err == nil {
		t.Error("a pool without a list of addresses passes its schema")
	}
}

// A schema has every key that a type writes, and no other.
func TestSchemasHoldTheTypes(t *testing.T) {
	for name, v := range map[string]any{"endpoint": fullEndpoint(), "event": fullEvent(), "host": fullHostShim(), "stats": fullStats(), "parent": fullParent(), "status": fullStatus(), "cluster": fullCluster(), "check": fullCheckLine(), "changes": fullChanges()} {
		if err := validateValue(t, loadSchema(t, name), v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if reflect.ValueOf(v).Field(i).IsZero() {
				t.Errorf("%s: the test does not set %s", name, f.Name)
			}
		}
	}
	if err := validateValue(t, loadSchema(t, "event"), map[string]any{"kind": "mac-spoof"}); err == nil {
		t.Error("an event with nothing but a kind passes its schema")
	}
}

func TestSchemaOfNetworks(t *testing.T) {
	s := loadSchema(t, "network")
	for path, data := range networkFiles(t, "good") {
		n, err := DecodeNetwork("lan", data)
		if err != nil {
			t.Fatal(err)
		}
		if err := validateValue(t, s, n); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var unknown map[string]any
	if err := toml.Unmarshal(networkFiles(t, "bad")["testdata/bad/network-unknown-key.toml"], &unknown); err != nil {
		t.Fatal(err)
	}
	if err := validateValue(t, s, unknown); err == nil {
		t.Error("a network with an unknown key passes the schema")
	}
}
