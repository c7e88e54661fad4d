package agent

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"berth/internal/state"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fakeCounts returns the slot's number as the count of packets.
type fakeCounts struct{ err error }

func (f fakeCounts) Counters(slot uint32) (specs.Counters, error) {
	return countersOf(uint64(slot)), f.err
}

func (f fakeCounts) Violations(slot uint32) (map[specs.Kind]specs.Broken, error) {
	return map[specs.Kind]specs.Broken{specs.MACSpoof: {Packets: uint64(slot), Dropped: 1}}, f.err
}

func countersOf(n uint64) (c specs.Counters) {
	c.Transmit.External.Unicast = specs.Count{Packets: n, Bytes: 100 * n}
	return c
}

func TestEndpointOfAttachment(t *testing.T) {
	start := time.Unix(1000, 0).UTC()
	record := state.Attachment{
		Cookie: 7, Containers: []string{"web", "sidecar"}, Annotations: map[string]string{"nerdctl/name": "front"},
		Network: "lan", Driver: specs.Macvlan, Mode: specs.ModeVEPA, Parent: "eth1.100", VLAN: 100,
		Interface: "net1", MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1}, MTU: 1500, Slot: 3, Phase: specs.PhaseAttached, Created: start,
	}
	shown := specs.Endpoint{
		ContainerID: "web", Containers: []string{"web", "sidecar"}, ContainerNames: []string{"front", ""}, Engine: specs.EngineContainerd, Name: "front", Network: "lan", Interface: "net1",
		Driver: specs.Macvlan, Mode: specs.ModeVEPA, Parent: "eth1.100", VLAN: 100, MAC: record.MAC, MTU: 1500,
		Addresses: []netip.Prefix{}, Origin: specs.OriginBerth, Phase: specs.PhaseAttached, Created: start,
	}
	final := countersOf(9)
	for name, c := range map[string]struct {
		change func(*state.Attachment, *specs.Endpoint)
		counts Counts
	}{
		"live": {func(_ *state.Attachment, e *specs.Endpoint) {
			e.Counted, e.Counters = true, countersOf(3)
			e.Violations, e.Dropped = map[specs.Kind]uint64{specs.MACSpoof: 3}, map[specs.Kind]uint64{specs.MACSpoof: 1}
		}, fakeCounts{}},
		"no agent yet": {func(*state.Attachment, *specs.Endpoint) {}, nil},
		"without a slot": {func(a *state.Attachment, _ *specs.Endpoint) {
			a.Slot = 0
		}, fakeCounts{errors.New("asked for")}},
		"drained, its slot not yet given back": {func(a *state.Attachment, e *specs.Endpoint) {
			a.Phase, e.Phase = specs.PhaseEnded, specs.PhaseEnded
			a.Ended, e.Ended = start.Add(time.Hour), start.Add(time.Hour)
			a.Final, e.Counters, e.Counted = &final, final, true
		}, fakeCounts{errors.New("asked for")}},
	} {
		a, want := record, shown
		c.change(&a, &want)
		got, err := Endpoint(&a, c.counts)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
}

func TestCollectEndpoints(t *testing.T) {
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	if got, err := Collect(t.Context(), store, nil); err != nil || got == nil || len(got) != 0 {
		t.Errorf("of no records: %v, %v, want an empty list", got, err)
	}
	err := store.Update(t.Context(), func(tx *state.Tx) error {
		return errors.Join(
			tx.Put(&state.Attachment{Cookie: 1, Interface: "net2", Driver: specs.Macvlan, Containers: []string{"b"}, Slot: 2, Phase: specs.PhaseAttached}),
			tx.Put(&state.Attachment{Cookie: 1, Interface: "net1", Driver: specs.Macvlan, Containers: []string{"a"}, Slot: 1, Phase: specs.PhaseAttaching}),
			tx.Put(&state.Attachment{Cookie: 0, Interface: "net1", Driver: specs.Macvlan, Containers: []string{"c"}, Phase: specs.PhaseEnded, Ended: time.Unix(5, 0)}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Collect(t.Context(), store, fakeCounts{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range got {
		order = append(order, e.ContainerID)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, order); diff != "" {
		t.Error(diff)
	}
	broken := errors.New("map is gone")
	if _, err := Collect(t.Context(), store, fakeCounts{broken}); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}
