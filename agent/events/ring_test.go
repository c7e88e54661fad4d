package events

import (
	"sync"
	"testing"
	"time"

	"berth/specs"
)

func numbered(n int) specs.Event { return specs.Event{LeftOut: uint64(n)} }

func check(t *testing.T, events []specs.Event, first, count int) {
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
	events, next, _ := r.Since(0, 10)
	if check(t, events, 0, 0); next != 0 {
		t.Errorf("next of an empty ring is %d, want 0", next)
	}
	for i := range 5 {
		r.Add(numbered(i))
	}
	events, next, _ = r.Since(0, 10)
	if check(t, events, 2, 3); next != 5 {
		t.Errorf("next is %d, want 5", next)
	}
	events, next, _ = r.Since(3, 1)
	if check(t, events, 3, 1); next != 4 {
		t.Errorf("next is %d, want 4", next)
	}
	events, next, _ = r.Since(9, 10)
	if check(t, events, 0, 0); next != 9 {
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
				events, next, more := r.Since(from, 100)
				got, from = append(got, events...), next
				if len(events) > 0 {
					continue
				}
				select {
				case <-more:
				case <-time.After(10 * time.Second):
					t.Errorf("not woken after %d events", len(got))
					return
				}
			}
			check(t, got, 0, count)
		})
	}
	for i := range count {
		r.Add(numbered(i))
	}
	wait.Wait()
}
