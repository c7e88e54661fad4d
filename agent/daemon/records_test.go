package daemon

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"berth/agent/metrics"
	"berth/bpf"
	"berth/internal/state"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Every change shows in the next reading, also one that falls into the same
// tick of the clock as the one before.
func TestRecordsShowEveryChange(t *testing.T) {
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	r := records{store: store, log: slog.New(slog.DiscardHandler)}
	for n := range 20 {
		now, err := r.current(t.Context())
		if err != nil || len(now.all) != n {
			t.Fatalf("%d records, %v, want %d", len(now.all), err, n)
		}
		err = store.Update(t.Context(), func(tx *state.Tx) error {
			return tx.Put(&state.Attachment{Cookie: uint64(n), Interface: "net1", Slot: uint32(n + 1), Phase: specs.PhaseAttached})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	now, err := r.current(t.Context())
	if err != nil || now.bySlot[20] == nil || now.bySlot[20].Cookie != 19 {
		t.Errorf("slot 20 is %+v, %v, want cookie 19", now.bySlot[20], err)
	}
}

func TestRecordsAreReadOnceWhileNothingChanges(t *testing.T) {
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	r := records{store: store, log: slog.New(slog.DiscardHandler)}
	old := time.Now().Add(-time.Minute)
	r.last = reading{stamp: old, final: true}
	if r.fresh(r.last) {
		t.Error("fresh, want not: the file has another time")
	}
	r.last.stamp = r.stamp()
	if !r.fresh(r.last) {
		t.Error("not fresh, want fresh: the time is the same")
	}
	r.last.final = false
	if r.fresh(r.last) {
		t.Error("fresh, want not: another change may have left the same time")
	}
}

func TestFallIsSeen(t *testing.T) {
	a := &Agent{last: map[string]uint64{"web": 10}}
	shown := func(packets uint64) []metrics.Endpoint {
		e := metrics.Endpoint{Key: "web"}
		e.Counters.Receive.Local.Unicast.Packets = packets
		return []metrics.Endpoint{e}
	}
	for packets, want := range map[uint64]bool{9: true, 10: false, 11: false} {
		if got := a.fell(shown(packets)); got != want {
			t.Errorf("10 to %d packets: fell %t, want %t", packets, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	mac := specs.MAC{2, 0, 0x5e, 0, 0x53, 1}
	web := &state.Attachment{Containers: []string{"web"}, Annotations: map[string]string{"nerdctl/name": "front"},
		Network: "lan", Interface: "net1", MAC: mac}
	raw := bpf.RawEvent{
		Time: time.Unix(9, 0), Kind: specs.MACSpoof, Certainty: specs.Certain, Evidence: "netns-cookie", Direction: "egress",
		VLAN: 100, Length: 60, LeftOut: 4, Bytes: append(make([]byte, 6), 2, 0, 0x5e, 0, 0x53, 9, 0x08, 0x06),
	}
	got := describe(raw, web, nil, "eth1")
	want := specs.Event{
		Time: raw.Time, Kind: raw.Kind, Certainty: raw.Certainty, Evidence: raw.Evidence, Direction: raw.Direction,
		Parent: "eth1", VLAN: 100, MAC: specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 9}, LeftOut: 4,
		Sender: &specs.Party{ContainerID: "web", Name: "front", Network: "lan", Interface: "net1", MAC: mac},
		Frame: specs.Frame{Source: specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 9}, Destination: "00:00:00:00:00:00",
			EtherType: "0x0806", Protocol: "arp", Length: 60, Bytes: raw.Bytes},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestExplainIsOneLine(t *testing.T) {
	err := explain(fmt.Errorf("load: %w\nsecond line", bpf.ErrNotBPFFS))
	if want := "load: " + bpf.ErrNotBPFFS.Error() + "; second line"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}
