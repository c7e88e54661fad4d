package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"berth/agent/metrics"
	"berth/internal/foreign"
	"berth/internal/state"
	"berth/network"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

// TestForeignAddressesOf states which addresses of other programs berth does not give out, and on
// which parents.
func TestForeignAddressesOf(t *testing.T) {
	addr := netip.MustParseAddr
	observed := []*state.Attachment{{Observed: true, Containers: []string{"netns:cam"}, Holder: "cam", Interface: "eth0", ParentIndex: 4,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}}}
	holding := func(engine, name string, addresses ...string) foreign.Holding {
		h := foreign.Holding{Network: specs.EngineNetwork{Engine: engine, Name: name}}
		for _, a := range addresses {
			h.Addresses = append(h.Addresses, addr(a))
		}
		return h
	}
	holdings := []foreign.Holding{
		holding("docker", "home", "192.0.2.7", "192.0.2.8"),
		holding("podman", "lan", "192.0.2.7", "192.0.2.9"),
		holding("podman", "bridge", "192.0.2.10"),
		holding("cni", "lan", "192.0.2.11"),
		holding("cni", "lan", "192.0.2.11"),
	}
	networks := []foreign.Network{
		{Name: specs.EngineNetwork{Engine: "podman", Name: "lan"}, Parent: "lan0"},
		{Name: specs.EngineNetwork{Engine: "cni", Name: "lan"}, Parent: "missing"},
	}
	links := []network.LinkInfo{{Name: "eth1", Index: 4}, {Name: "eth2", AltNames: []string{"lan0"}, Index: 5}}
	want := []state.ForeignAddress{
		{Addr: addr("192.0.2.7"), ParentIndex: 4, Holder: "eth0 of cam"},
		{Addr: addr("192.0.2.8"), Holder: "docker:home"},
		{Addr: addr("192.0.2.7"), ParentIndex: 5, Holder: "podman:lan"},
		{Addr: addr("192.0.2.9"), ParentIndex: 5, Holder: "podman:lan"},
		{Addr: addr("192.0.2.11"), Holder: "cni:lan"},
	}
	got := foreignAddresses(observed, holdings, networks, links)
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("addresses (-want +got):\n%s", d)
	}
}

// TestBerthsNetworksInDocker leaves the addresses of a network of docker whose driver is berth out
// of those of other programs.
func TestBerthsNetworksInDocker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const file = `{"ID":"a1","NetworkSettings":{"Networks":{"lan":{"NetworkID":"1f","IPAddress":"192.0.2.64"},"home":{"NetworkID":"2f","IPAddress":"192.0.2.9"}}}}`
	path := filepath.Join(dir, "docker/containers/a1/config.v2.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(file), 0o600)); err != nil {
		t.Fatal(err)
	}
	a := &Agent{store: state.Open(dir + "/state"), config: specs.Agent{Docker: dir + "/docker"}, host: func() (hostFacts, error) { return hostFacts{}, nil }}
	a.records = newRecords(a.store, metrics.NewFormat(a.config), slog.New(slog.DiscardHandler))
	n := newNetworkNamer(a)
	n.reader = foreign.NewReader(foreign.Places{Docker: a.config.Docker})
	own := &state.Attachment{Cookie: 1, Interface: "eth0", Containers: []string{"a1"}, Door: &state.Door{Name: state.DoorDocker, Network: "1f"}, Phase: specs.PhaseAttached}
	if err := a.store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(own) }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"attached", "released"} {
		if _, err := n.readAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		err := a.store.Update(t.Context(), func(tx *state.Tx) error {
			for f, err := range tx.ForeignAddresses(netip.IPv6Unspecified()) {
				if err != nil {
					return err
				}
				got = append(got, f.Holder+" "+f.Addr.String())
			}
			return tx.Delete(own.Key())
		})
		if want := []string{"docker:home 192.0.2.9"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: addresses %q, %v, want %q", name, got, err, want)
		}
	}
}

// TestBerthsNetworksInDockerAreForgotten makes and removes a network each minute, beside one that stays:
// the agent must not remember them all.
func TestBerthsNetworksInDockerAreForgotten(t *testing.T) {
	t.Parallel()
	n := &networkNamer{berths: make(map[string]time.Time)}
	now := time.Now()
	n.berths["stays"] = now
	for i := range 1000 {
		now = now.Add(time.Minute)
		n.berths[fmt.Sprint("removed", i)] = now // a record had it
		if left := n.withoutBerths([]foreign.Holding{{NetworkID: "stays"}, {NetworkID: "2f"}}, now); len(left) != 1 || left[0].NetworkID != "2f" {
			t.Fatalf("after %d networks: left %+v, want only that of another driver", i+1, left)
		}
	}
	if most := 2 + int(berthsKept/time.Minute); len(n.berths) > most {
		t.Errorf("%d networks are remembered, want at most %d", len(n.berths), most)
	}
}
