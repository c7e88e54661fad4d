package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/agent/metrics"
	"berth/bpf"
	"berth/bpf/sys"
	"berth/internal/state"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRecordsShowEveryChange requires that each change shows in the next reading, also if
// it falls into the same clock tick as the one before.
func TestRecordsShowEveryChange(t *testing.T) {
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	r := newRecords(store, testFormat(), slog.New(slog.DiscardHandler))
	for n := range 20 {
		now, err := r.currentReading(t.Context())
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
	now, err := r.currentReading(t.Context())
	if err != nil || now.recordOfSlot(20) == nil || now.recordOfSlot(20).cookie != 19 {
		t.Errorf("slot 20 is %+v, %v, want cookie 19", now.recordOfSlot(20), err)
	}
	if r := now.recordOfSlot(0); r != nil {
		t.Errorf("slot 0 is %+v, want nobody's", r)
	}
}

func TestRecordsAreReadOnceWhileNothingChanges(t *testing.T) {
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	r := newRecords(store, testFormat(), slog.New(slog.DiscardHandler))
	old := time.Now().Add(-time.Minute)
	r.last = reading{stamp: old, final: true}
	if r.isFresh(r.last) {
		t.Error("fresh, want not: the file has another time")
	}
	r.last.stamp = r.changedAt()
	if !r.isFresh(r.last) {
		t.Error("not fresh, want fresh: the time is the same")
	}
	r.last.final = false
	if r.isFresh(r.last) {
		t.Error("fresh, want not: another change may have left the same time")
	}
}

func TestFallenCountIsReadAgain(t *testing.T) {
	for packets, want := range map[uint64]bool{8: true, 9: false, 10: false} {
		one := &record{broken: 1}
		one.shown.Store(10)
		var row metrics.Row
		row.Counters.Receive.Local.Unicast.Packets = packets
		if got := anyFell([]*record{one}, []metrics.Row{row}); got != want {
			t.Errorf("10 frames, then %d and a violation: fell %t, want %t", packets, got, want)
		}
	}
}

func testFormat() *metrics.Format { return metrics.NewFormat(specs.DefaultConfig().Agent) }

// TestRecordsAreDecodedWhenTheyChange requires that only changed records are decoded, and
// that the process's own state of an attachment stays.
func TestRecordsAreDecodedWhenTheyChange(t *testing.T) {
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	r := newRecords(store, testFormat(), slog.New(slog.DiscardHandler))
	put := func(container string, slot uint32, phase specs.Phase) {
		t.Helper()
		err := store.Update(t.Context(), func(tx *state.Tx) error {
			return tx.Put(&state.Attachment{Cookie: uint64(slot), Interface: "net1", Containers: []string{container}, Slot: slot, Phase: phase})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func() (web, db *record) {
		t.Helper()
		now, err := r.currentReading(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return now.recordOfSlot(1), now.recordOfSlot(2)
	}
	put("web", 1, specs.PhaseAttaching)
	put("db", 2, specs.PhaseAttached)
	web, db := read()
	web.shown.Store(7)
	web.registered.Store(3)
	put("web", 1, specs.PhaseAttached)
	web2, db2 := read()
	if db2 != db {
		t.Error("an unchanged record was decoded again")
	}
	if web2 == web || web2.phase != specs.PhaseAttached || web2.shown.Load() != 7 || web2.registered.Load() != 3 {
		t.Errorf("the record that changed is %+v", web2)
	}
}

// arrangedReading returns an arranged reading of runs as "container created ended".
func arrangedReading(most int, runs ...[3]any) *reading {
	var all []*record
	for _, run := range runs {
		one := &record{ended: int64(run[2].(int)), phase: specs.PhaseAttached}
		one.ContainerID, one.Created = run[0].(string), int64(run[1].(int))
		if one.ended != 0 {
			one.phase = specs.PhaseEnded
		}
		testFormat().Prepare(&one.Endpoint)
		all = append(all, one)
	}
	return arrange(mergeRecords(nil, all, 0), most)
}

func TestTheFirstAttachedAreShown(t *testing.T) {
	runs := [][3]any{{"a", 5, 0}, {"b", 1, 9}, {"b", 7, 0}, {"c", 2, 0}, {"d", 1, 3}}
	for most, want := range map[int]string{5: "a b c d ", 4: "a b c d ", 3: "a b c ", 2: "b c ", 1: "b ", 0: ""} {
		got := ""
		r := arrangedReading(most, runs...)
		for _, s := range r.series {
			if !s.hidden {
				got += r.all[s.From].ContainerID + " "
			}
		}
		if got != want {
			t.Errorf("at most %d: %q, want %q", most, got, want)
		}
	}
	if r := arrangedReading(5, runs...); r.series[1].To-r.series[1].From != 2 || r.all[r.series[1].From].Created != 7 {
		t.Errorf("two runs of b are %+v, the newest first wanted", r.series[1])
	}
}

func TestEventOf(t *testing.T) {
	mac := specs.MAC{2, 0, 0x5e, 0, 0x53, 1}
	web := newRecord(&state.Attachment{Containers: []string{"web"}, Annotations: map[string]string{"nerdctl/name": "front"},
		Network: "lan", Interface: "net1", MAC: mac}, intern{})
	raw := bpf.RawEvent{
		Time: time.Unix(9, 0), Kind: specs.MACSpoof, Certainty: specs.Certain, Evidence: "netns-cookie", Direction: "egress",
		VLAN: 100, Length: 60, LeftOut: 4, Bytes: append(make([]byte, 6), 2, 0, 0x5e, 0, 0x53, 9, 0x08, 0x06),
	}
	got := eventOf(raw, web, nil, nil, "eth1")
	want := specs.Event{
		Time: raw.Time, Kind: raw.Kind, Certainty: raw.Certainty, Evidence: raw.Evidence, Direction: raw.Direction,
		Parent: "eth1", VLAN: 100, MAC: specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 9}, LeftOut: 4,
		Sender: &specs.Party{ContainerID: "web", Name: "front", Network: "lan", Interface: "net1", MAC: mac, Origin: specs.OriginBerth},
		Frame: specs.Frame{Source: specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 9}, Destination: "00:00:00:00:00:00",
			EtherType: "0x0806", Protocol: "arp", Length: 60, Bytes: raw.Bytes},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestExplainDatapathIsOneLine(t *testing.T) {
	err := explainDatapath(fmt.Errorf("load: %w\nsecond line", bpf.ErrNotBPFFS))
	if want := "load: " + bpf.ErrNotBPFFS.Error() + "; second line"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestExplainAttachNamesTheSetting(t *testing.T) {
	err := explainAttach(bpf.TCX, fmt.Errorf("attach to interface 2: %w", sys.ErrNotSupported))
	if want := `set attach = "auto"`; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want %q in it", err, want)
	}
}

// TestRoundsReachEveryRecord goes through the records in turns, also while their number changes.
func TestRoundsReachEveryRecord(t *testing.T) {
	turn, all := 0, make([]*record, 2*registerRound+7)
	for i := range all {
		all[i] = new(record)
	}
	reached := make(map[*record]int)
	for range 3 {
		some := nextRound(all, &turn)
		if len(some) != registerRound {
			t.Errorf("a round of %d records, want %d", len(some), registerRound)
		}
		for _, r := range some {
			reached[r]++
		}
	}
	if len(reached) != len(all) {
		t.Errorf("%d of %d records are reached by three rounds", len(reached), len(all))
	}
	for _, n := range []int{registerRound + 1, registerRound, 3, 0} {
		if some := nextRound(all[:n], &turn); len(some) != min(n, registerRound) {
			t.Errorf("a round of %d records of %d", len(some), n)
		}
	}
}

// TestReadingsAreThoseOfANewReader compares the readings of random changes, each of which begins with the
// one before, with those of a reader that decodes everything.
func TestReadingsAreThoseOfANewReader(t *testing.T) {
	store := state.Open(filepath.Join(t.TempDir(), "state"))
	r, random := newRecords(store, testFormat(), slog.New(slog.DiscardHandler)), rand.New(rand.NewPCG(1, 2))
	change := func(tx *state.Tx) error {
		for range random.IntN(4) {
			at := &state.Attachment{Cookie: random.Uint64N(9), Interface: "net1", Slot: uint32(1 + random.IntN(9)),
				Containers: []string{fmt.Sprint("c", random.IntN(5))}, Phase: specs.PhaseAttached, Created: time.Unix(random.Int64N(9), 0)}
			if random.IntN(3) == 0 {
				at.Phase, at.Ended = specs.PhaseEnded, time.Unix(random.Int64N(99), 0)
			}
			if err := tx.Put(at); err != nil {
				return err
			}
		}
		if random.IntN(8) == 0 {
			_, err := tx.Prune(time.Unix(50, 0), 9)
			return err
		}
		return nil
	}
	text := func(now reading) string {
		var b strings.Builder
		for _, one := range now.all {
			fmt.Fprintln(&b, one.Series(), one.Created, one.storedKey, one.sum == 0, one.phase, one.ended, one.slot)
		}
		return fmt.Sprint(b.String(), now.series)
	}
	failed := errors.New("the reader of a reading fails")
	for i := range 300 {
		if err := store.Update(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			if err := r.readExclusively(t.Context(), func(*reading) error { return failed }); !errors.Is(err, failed) {
				t.Fatalf("%v, want %v", err, failed)
			}
		}
		if i%7 == 0 {
			r.arranged = nil // as if the database had been damaged
		}
		got, err := r.currentReading(t.Context())
		want, errAnew := newRecords(store, testFormat(), slog.New(slog.DiscardHandler)).currentReading(t.Context())
		if err != nil || errAnew != nil || text(got) != text(want) {
			t.Fatalf("change %d: %v, %v\n%s\nwant\n%s", i, err, errAnew, text(got), text(want))
		}
	}
}
