package cli

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"berth/internal/rates"
	"berth/specs"
)

var update = flag.Bool("update", false, "write the golden tables")

// manyReadings returns endpoints with long and wide texts, and many violations.
func manyReadings() []rates.Reading {
	all := sampleEndpoints()
	for i, name := range []string{"ウェブサーバー", "e\u0301te\u0301-🚀-launcher", "a-container-with-a-very-long-name-indeed"} {
		e := all[0]
		e.Name, e.ContainerID, e.MAC = name, fmt.Sprint("crowd", i), mustMAC(fmt.Sprintf("02:00:5e:00:53:%02x", 16+i))
		e.Network = "production-network"
		e.Violations = map[specs.Kind]uint64{specs.MACSpoof: 123456, specs.IPSpoof: 98765, specs.RogueDHCP: 4321}
		e.Dropped = map[specs.Kind]uint64{specs.MACSpoof: 123000}
		all = append(all, e)
	}
	now := rates.Sample{At: clock, Endpoints: all}
	before := rates.Sample{At: clock.Add(-2 * time.Second), Endpoints: append([]specs.Endpoint{}, all...)}
	for i := range before.Endpoints {
		if c := &before.Endpoints[i].Counters; c.Receive.External.Unicast.Packets > 100 {
			c.Receive = trafficOf(c.Receive.External.Unicast.Packets/2, c.Receive.External.Unicast.Bytes/2)
		}
	}
	return rates.Between(&before, &now)
}

// TestGolden compares the tables with testdata at five widths. No line is wider
// than the terminal, and no number and no MAC is cut.
func TestGolden(t *testing.T) {
	readings := manyReadings()
	var listed []specs.Endpoint
	for i := range readings {
		listed = append(listed, readings[i].Endpoint)
	}
	for _, width := range []int{40, 60, 80, 120, 200} {
		for name, print := range map[string]func(*Env) error{
			"ps":          func(env *Env) error { return printEndpoints(env, listOptions{}, listed) },
			"stats":       func(env *Env) error { return printStats(env, statsOptions{}, clock, readings) },
			"stats-bits":  func(env *Env) error { return printStats(env, statsOptions{bits: true}, clock, readings) },
			"stats-split": func(env *Env) error { return printStats(env, statsOptions{split: true}, clock, readings) },
		} {
			w := newWorld(t)
			w.env.Width = width
			if err := print(&w.env); err != nil {
				t.Fatal(err)
			}
			compareGolden(t, fmt.Sprintf("%s-%d", name, width), w.out.String())
			for line := range strings.Lines(w.out.String()) {
				if n := ansi.StringWidthWc(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s: %d columns of %d: %s", name, n, width, line)
				}
			}
			if name == "ps" && !strings.Contains(w.out.String(), "02:00:5e:00:53:12") {
				t.Errorf("ps at %d cuts a MAC:\n%s", width, &w.out)
			}
		}
	}
}

// TestLongAddressesAreWhole: the longest IPv6 addresses and MACs are complete at 80 columns.
func TestLongAddressesAreWhole(t *testing.T) {
	e := sampleEndpoints()[0]
	const long = "2001:db8:1234:5678:9abc:def0:1234:5678/64"
	e.Addresses = []netip.Prefix{mustPrefix("255.255.255.255/32"), mustPrefix(long)}
	w := newWorld(t)
	if err := printEndpoints(&w.env, listOptions{}, []specs.Endpoint{e}); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "ps", `
CONTAINER  NETWORK@IF  ADDRESS, MAC        PARENT, MODE  RX         TX
web        lan@net1    255.255.255.255/32  eth1.100      1.23 GB    900 B
                       02:00:5e:00:53:01   bridge        988k pkts  11 pkts
  2001:db8:1234:5678:9abc:def0:1234:5678/64, mac-spoof 3
`, w.out.String())
	for line := range strings.Lines(w.out.String()) {
		if n := ansi.StringWidthWc(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestParentTableKeepsMACs: the parents keep their MACs and counts even if the names are long.
func TestParentTableKeepsMACs(t *testing.T) {
	var b strings.Builder
	err := parentTable([]specs.ParentStatus{{
		Name: "enp101s0f0.4000", State: specs.ParentCounting, Attach: "clsact", MAC: mustMAC("02:00:5e:00:53:01"), Endpoints: 4096,
		Networks: []string{"a-network-with-a-very-long-name-indeed"},
	}}).writeTable(&b, 60)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "02:00:5e:00:53:01  4096 ") {
		t.Errorf("a MAC or a count is cut:\n%s", &b)
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestStatsSort(t *testing.T) {
	w := newWorld(t)
	w.startAgent(&growing{at: busyEndpoints})
	w.stepClock()
	mustEqual(t, "by violations", "CONTAINER\nweb\n\nberth-demo-two\n\ntotal\n\n",
		firstColumn(w.mustRun("stats", "--no-stream", "--interval", "100ms", "--sort", "violations")))
	w.mustFail(exitUsage, `--sort "size": want one of rx, rx-packets, rx-total, tx, tx-packets, tx-total, violations`, "stats", "--sort", "size")
	mustEqual(t, "completion", strings.Join(sortNames(), "\n")+"\n:4\n", w.mustRun("__complete", "stats", "--sort", ""))
	readings := manyReadings()
	for name, of := range statsOrders {
		(&statsOptions{sort: name}).sortReadings(readings)
		for i := range readings[1:] {
			if of(&readings[i]) < of(&readings[i+1]) {
				t.Errorf("--sort %s: %v before %v", name, of(&readings[i]), of(&readings[i+1]))
			}
		}
	}
}
