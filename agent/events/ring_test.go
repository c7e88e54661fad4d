package events

import (
	"sync"
	"testing"
	"time"

	"berth/specs"
)

func numberedEvent(n int) specs.Event { return specs.Event{LeftOut: uint64(n)} }

func checkEvents(t *testing.T, events []specs.Event, first, count int) {
	t.Helper()
	if len(events) != count {
		t.Fatalf("%d events, want %d", len(events), count)
	}
	for i, e := range events {
		if e.LeftOut != uint64(first+i) {
			t.Fatalf("event %d is number %d, want %d", i, e.LeftOut, first+i)
		}
	}
}

func TestRingKeepsTheLast(t *testing.T) {
	r := NewRing(3)
	events, next, _, _ := r.Since(0, 10)
	if checkEvents(t, events, 0, 0); next != 0 {
		t.Errorf("next of an empty ring is %d, want 0", next)
	}
	for i := range 5 {
		r.Add(numberedEvent(i))
	}
	events, next, _, _ = r.Since(0, 10)
	if checkEvents(t, events, 2, 3); next != 5 {
		t.Errorf("next is %d, want 5", next)
	}
	events, next, _, _ = r.Since(3, 1)
	if checkEvents(t, events, 3, 1); next != 4 {
		t.Errorf("next is %d, want 4", next)
	}
	events, next, _, _ = r.Since(9, 10)
	if checkEvents(t, events, 0, 0); next != 9 {
		t.Errorf("next is %d, want 9: numbers never go backwards", next)
	}
}

func TestRingWakesFollowers(t *testing.T) {
	r := NewRing(Kept)
	const count = 2000
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			var got []specs.Event
			for from := uint64(0); len(got) < count; {
				events, next, _, more := r.Since(from, 100)
				got, from = append(got, events...), next
				if len(events) > 0 {
					continue
				}
				select {
				case <-more:
				case <-time.After(time.Minute):
					t.Errorf("not woken after %d events", len(got))
					return
				}
			}
			checkEvents(t, got, 0, count)
		})
	}
	for i := range count {
		r.Add(numberedEvent(i))
	}
	wait.Wait()
}

// TestRingKeepsOthersInAFlood requires that an endpoint that floods pushes out its own
// events once it has its share.
func TestRingKeepsOthersInAFlood(t *testing.T) {
	r := NewRing(100)
	add := func(id string, n int) {
		for i := range n {
			e := numberedEvent(i)
			e.Sender = &specs.Party{ContainerID: id, Interface: "net1"}
			r.Add(e)
		}
	}
	add("flood", 500)
	if events, _, _, _ := r.Since(0, 1000); len(events) != 100 {
		t.Fatalf("%d events of one endpoint alone, want all 100", len(events))
	}
	add("quiet", 5)
	add("flood", 500)
	events, next, lost, _ := r.Since(0, 1000)
	if len(events) != 100 || next != 1005 || !lost {
		t.Fatalf("%d events up to %d, lost %v", len(events), next, lost)
	}
	checkEvents(t, events[:5], 0, 5)
	for i, e := range events {
		if want := map[bool]string{true: "quiet", false: "flood"}[i < 5]; e.Sender.ContainerID != want {
			t.Fatalf("event %d is of %s, want %s", i, e.Sender.ContainerID, want)
		}
	}
	checkEvents(t, events[5:], 405, 95)
}

// TestRingReportsLostEvents requires that a reader that keeps up sees no loss, though older events are dropped.
func TestRingReportsLostEvents(t *testing.T) {
	r := NewRing(10)
	for i := range 10 {
		r.Add(numberedEvent(i))
	}
	_, next, lost, _ := r.Since(0, 4)
	if next != 4 || lost {
		t.Fatalf("next %d, lost %v", next, lost)
	}
	for i := range 4 {
		r.Add(numberedEvent(10 + i))
	}
	if _, _, lost, _ := r.Since(next, 4); lost {
		t.Error("what was read already is said to be lost")
	}
	r.Add(numberedEvent(14))
	if _, _, lost, _ := r.Since(next, 4); !lost {
		t.Error("what was not read yet is gone, and not said to be")
	}
}
