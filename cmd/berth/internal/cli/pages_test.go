package cli

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"berth/internal/rates"
	"berth/specs"
)

// pageEndpoint returns an endpoint of the pages' examples.
func pageEndpoint(name, ip, mac string) specs.Endpoint {
	return specs.Endpoint{
		ContainerID: name, Network: "lan", Interface: "net1", Driver: specs.Macvlan, Mode: specs.ModeBridge,
		Parent: "eth1", MTU: 1500, MAC: mustMAC(mac), Addresses: []netip.Prefix{mustPrefix(ip)},
		Phase: specs.PhaseAttached, Created: clock.Add(-5 * time.Minute), Counted: true,
	}
}

func unicast(packets, bytes uint64) specs.Casts {
	return specs.Casts{Unicast: specs.Count{Packets: packets, Bytes: bytes}}
}

// pageReadings returns two readings, a second apart, of a web server and its database.
func pageReadings() []rates.Reading {
	all := []specs.Endpoint{
		pageEndpoint("web", "192.0.2.64/24", "ba:0b:60:9c:cd:9f"),
		pageEndpoint("db", "192.0.2.66/24", "ae:19:69:6a:cf:60"),
	}
	before := rates.Sample{At: clock.Add(-time.Second), Endpoints: append([]specs.Endpoint{}, all...)}
	before.Endpoints[0].Counters.Receive = specs.Traffic{Local: unicast(115, 11_550), External: unicast(1_000_000, 1_228_790_000)}
	before.Endpoints[0].Counters.Transmit = specs.Traffic{Local: unicast(115, 11_610), External: unicast(500_000, 40_050_000)}
	before.Endpoints[1].Counters.Receive = specs.Traffic{Local: unicast(115, 11_610)}
	before.Endpoints[1].Counters.Transmit = specs.Traffic{Local: unicast(115, 11_550)}
	all[0].Counters.Receive = specs.Traffic{Local: unicast(120, 12_000), External: unicast(1_001_015, 1_230_000_000)}
	all[0].Counters.Transmit = specs.Traffic{Local: unicast(120, 12_000), External: unicast(500_507, 40_088_000)}
	all[1].Counters.Receive = specs.Traffic{Local: unicast(120, 12_000)}
	all[1].Counters.Transmit = specs.Traffic{Local: unicast(120, 12_000)}
	return rates.Between(&before, &rates.Sample{At: clock, Endpoints: all})
}

// pageEvents are the events of the pages' examples.
func pageEvents() []specs.Event {
	web := &specs.Party{ContainerID: "web", Network: "lan", Interface: "net1"}
	at := time.Date(2026, time.November, 22, 4, 12, 52, 0, time.UTC)
	forged := specs.FrameMAC(mustMAC("00:00:5e:00:53:66"))
	group := specs.Event{
		Time: at, Kind: specs.MACSpoof, Certainty: specs.Suspected, Parent: "eth1", Sender: web, MAC: forged,
		Frame: specs.Frame{Destination: "ff:ff:ff:ff:ff:ff", SourceIP: mustAddr("192.0.2.64"), DestinationIP: mustAddr("192.0.2.1"), Protocol: "arp"},
	}
	query := specs.Event{
		Time: at.Add(time.Second), Kind: specs.MACSpoof, Certainty: specs.Certain, Parent: "eth1", Sender: web, MAC: forged, LeftOut: 2,
		Frame: specs.Frame{
			Destination: "ba:0b:60:9c:cd:9f", Protocol: "udp",
			SourceIP: mustAddr("192.0.2.64"), SourcePort: 9000, DestinationIP: mustAddr("192.0.2.1"), DestinationPort: 53,
		},
	}
	drift := specs.Event{
		Time: at.Add(18 * time.Second), Kind: specs.ModeDrift, Certainty: specs.Certain, Parent: "eth1", Sender: web,
		Detail: "is macvlan private, declared macvlan bridge",
	}
	return []specs.Event{group, query, drift}
}

// pageInspected returns the endpoint web as docs/commands.md inspects it, a second after it
// was attached.
func pageInspected(web specs.Endpoint) (e specs.Endpoint, now time.Time) {
	e, now = web, time.Date(2026, time.November, 22, 4, 12, 51, 0, time.UTC)
	e.Created, e.Gateways, e.GroupPackets = now.Add(-time.Second), []netip.Addr{mustAddr("192.0.2.1")}, new(uint64(31))
	return e, now
}

// pageStatus returns the status of an agent that counts at eth1, and waits for more parents.
func pageStatus(up time.Duration, more ...specs.ParentStatus) specs.AgentStatus {
	s := specs.AgentStatus{
		Version: "v0.1.0", PID: 41, Started: clock.Add(-up), Attached: true, Metrics: "127.0.0.1:9477", Endpoints: 2, MaxEndpoints: 4096,
		Parents: []specs.ParentStatus{{
			Name: "eth1", Index: 2, MAC: mustMAC("52:ec:55:57:d4:d1"), State: specs.ParentCounting, Attach: "tcx",
			Networks: []string{"lan"}, Endpoints: 2,
		}},
	}
	for _, p := range more {
		s.Parents, s.Problems = append(s.Parents, p), append(s.Problems, p.Problem)
	}
	return s
}

// TestPagesShowTables requires that the pages' examples of ps, inspect, stats, events and
// agent status are output of the commands.
func TestPagesShowTables(t *testing.T) {
	web, api := pageEndpoint("web", "192.0.2.64/24", "ba:0b:60:9c:cd:9f"), pageEndpoint("api", "192.0.2.65/24", "ae:19:69:6a:cf:5e")
	web.Counters = specs.Counters{
		Receive:  specs.Traffic{Local: unicast(6, 532), External: unicast(4, 336)},
		Transmit: specs.Traffic{Local: unicast(5, 490), External: unicast(9, 546)},
	}
	api.Counters = specs.Counters{
		Receive:  specs.Traffic{Local: unicast(5, 490)},
		Transmit: specs.Traffic{Local: unicast(6, 532), External: unicast(4, 168)},
	}
	ps := func(all ...specs.Endpoint) func(*Env) error {
		return func(env *Env) error { return printEndpoints(env, listOptions{}, all) }
	}
	status := func(s specs.AgentStatus) func(*Env) error {
		return func(env *Env) error { return writeStatus(env, &s) }
	}
	for _, c := range []struct {
		page, command string
		print         func(*Env) error
	}{
		{"docs/commands.md", "berth inspect web", func(env *Env) error {
			e, now := pageInspected(web)
			describeEndpoint(env.Out, &e, now)
			return nil
		}},
		{"docs/agent.md", "berth agent status", status(pageStatus(3 * time.Second))},
		{"docs/commands.md", "berth agent status", status(pageStatus(3*time.Hour, specs.ParentStatus{
			Name: "eth9.100", State: specs.ParentWaiting, Networks: []string{"lab"},
			Problem: `parent "eth9.100" of network "lab" does not exist; create it, or correct the network's file`,
		}))},
		{"README.md", "berth ps", ps(web)},
		{"docs/commands.md", "berth ps", ps(web, api)},
		{"docs/commands.md", "berth stats", func(env *Env) error { return printStats(env, statsOptions{}, clock, pageReadings()) }},
		{"docs/commands.md", "berth stats web --split --no-stream", func(env *Env) error {
			return printStats(env, statsOptions{split: true, count: 1}, clock, pageReadings()[:1])
		}},
		{"docs/commands.md", "berth events", func(env *Env) error {
			writeEventHead(env.Out)
			for _, e := range pageEvents() {
				if err := writeEvent(env.Out, &e, time.UTC); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		w := newWorld(t)
		if err := c.print(&w.env); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile("../../../../" + c.page)
		if err != nil {
			t.Fatal(err)
		}
		if want := "# " + c.command + "\n" + squeeze(w.out.String()) + "```\n"; !strings.Contains(squeeze(string(page)), want) {
			t.Errorf("%s does not show\n%s", c.page, want)
		}
	}
}
