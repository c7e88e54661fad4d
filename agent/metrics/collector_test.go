package metrics

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"berth/specs"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Those that differ between machines and runs.
const buildInfo, duration = "berth_build_info", "berth_agent_scrape_duration_seconds"

func endpoint(key, container, network string, created int64, packets uint64) Endpoint {
	traffic := specs.Casts{Unicast: specs.Count{Packets: packets, Bytes: packets * 98}}
	return Endpoint{Key: key, Endpoint: specs.Endpoint{
		ContainerID: container, Network: network, Interface: "net1", Parent: "eth1",
		Driver: specs.Macvlan, Mode: specs.ModeBridge, MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1},
		Created: time.Unix(created, 0),
		Counters: specs.Counters{
			Receive:  specs.Traffic{Local: traffic, External: traffic},
			Transmit: specs.Traffic{External: traffic},
		},
	}}
}

func parents() []specs.ParentStatus {
	return []specs.ParentStatus{
		{Name: "eth1", State: specs.ParentCounting, Attach: "tcx", Networks: []string{"lan"}},
		{Name: "eth2", State: specs.ParentWaiting, Networks: []string{"lab"}},
	}
}

func golden(t *testing.T, file string, c *Collector) {
	t.Helper()
	want, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	names := []string{buildInfo, duration}
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var compared []string
	for _, family := range all {
		if n := family.GetName(); n != names[0] && n != names[1] {
			compared = append(compared, n)
		}
	}
	if err := testutil.GatherAndCompare(registry, want, compared...); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestGolden(t *testing.T) {
	s := Snapshot{Parents: parents(), EventsLost: 3,
		Maps: []MapUse{{"endpoints", 2, 4096}},
		Endpoints: []Endpoint{
			endpoint("1/net1", "web", "lan", 1, 10),
			endpoint("2/net1", "db", "", 2, 20),
		},
		Violations: []Violation{
			{"1/net1", specs.MACSpoof, "eth1", "lan", 7},
			{"ifindex 4", specs.MACSpoof, "eth1", "", 2},
		},
	}
	s.Endpoints[0].Name, s.Endpoints[0].Image = "front", "docker.io/library/nginx:1"
	s.Endpoints[0].Pod, s.Endpoints[0].Namespace = "front-0", "prod"
	golden(t, "full.prom", New("1.2.3", func() (Snapshot, error) { return s, nil }))
}

func TestGoldenWithNothing(t *testing.T) {
	golden(t, "empty.prom", New("1.2.3", func() (Snapshot, error) { return Snapshot{}, nil }))
}

// A container that is started again has the same labels as before; the record
// of its first run is pruned later. The series never falls.
func TestRestartedContainerGoesOn(t *testing.T) {
	var s Snapshot
	c := New("", func() (Snapshot, error) { return s, nil })
	first, second := endpoint("1/net1", "web", "lan", 1, 10), endpoint("2/net1", "web", "lan", 2, 1)
	second.Name = "again"
	for i, step := range []struct {
		endpoints []Endpoint
		want      string
	}{
		{[]Endpoint{first}, "10"},
		{[]Endpoint{first, second}, "11"},
		{[]Endpoint{second}, "11"},
		{nil, ""},
		{[]Endpoint{second}, "1"},
	} {
		s.Endpoints = step.endpoints
		const name = "berth_network_transmit_packets_total"
		want := ""
		if step.want != "" {
			want = "# HELP " + name + " Packets that the container sent, in wire segments.\n# TYPE " + name + " counter\n" +
				name + `{container_id="web",interface="net1",network="lan",parent="eth1"} ` + step.want + "\n"
		}
		if err := testutil.CollectAndCompare(c, strings.NewReader(want), name); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
}

func TestViolationsNeverFall(t *testing.T) {
	s := Snapshot{Parents: parents()[:1], Violations: []Violation{{"1/net1", specs.MACSpoof, "eth1", "lan", 7}}}
	c := New("", func() (Snapshot, error) { return s, nil })
	const name = "berth_violations_total"
	want := "# HELP " + name + " Frames that broke an interface's mode, by specs/violations.md.\n# TYPE " + name + " counter\n" +
		name + `{kind="mac-spoof",network="",parent="eth1"} 0` + "\n" +
		name + `{kind="mac-spoof",network="lan",parent="eth1"} 7` + "\n"
	for i := range 3 {
		if err := testutil.CollectAndCompare(c, strings.NewReader(want), name); err != nil {
			t.Errorf("scrape %d: %v", i, err)
		}
		s.Violations = nil // the record was pruned
	}
}

func TestErrorFailsTheScrape(t *testing.T) {
	broken := errors.New("database: held")
	registry := prometheus.NewRegistry()
	registry.MustRegister(New("", func() (Snapshot, error) { return Snapshot{}, broken }))
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("error %v, want %q in it", err, broken)
	}
}
