package events

import (
	"fmt"
	"testing"
	"time"

	"berth/specs"
)

func eventBy(id string, kind specs.Kind, leftOut uint64) *specs.Event {
	return &specs.Event{Kind: kind, Sender: &specs.Party{ContainerID: id, Interface: "net1"}, LeftOut: leftOut}
}

func TestLimiterLetsABurstThrough(t *testing.T) {
	l, now := NewLimiter(), time.Unix(1000, 0)
	passed := 0
	for range 10 * LimitBurst {
		if l.Pass(eventBy("web", specs.MACSpoof, 0), now) {
			passed++
		}
	}
	if passed != LimitBurst {
		t.Errorf("%d of a burst passed, want %d", passed, LimitBurst)
	}
	if !l.Pass(eventBy("db", specs.MACSpoof, 0), now) {
		t.Error("another endpoint is held back")
	}
	if l.Pass(eventBy("web", specs.MACSpoof, 0), now.Add(LimitEvery/2)) {
		t.Error("passed before its time")
	}
	e := eventBy("web", specs.MACSpoof, 3)
	if !l.Pass(e, now.Add(LimitEvery)) {
		t.Fatal("held back when its time had come")
	}
	if want := uint64(9*LimitBurst + 1 + 3); e.LeftOut != want || l.LeftOut() != want {
		t.Errorf("left out %d, in all %d; want %d", e.LeftOut, l.LeftOut(), want)
	}
	later := 0
	for range 10 * LimitBurst {
		if l.Pass(eventBy("web", specs.MACSpoof, 0), now.Add(time.Hour)) {
			later++
		}
	}
	if later != LimitBurst {
		t.Errorf("%d later an hour later, want %d", later, LimitBurst)
	}
}

// TestLimiterAddsUp requires that events held back here are added to those held back by the datapath.
func TestLimiterAddsUp(t *testing.T) {
	l, now := NewLimiter(), time.Unix(1000, 0)
	var reported, sent uint64
	for i := range 1000 {
		e := eventBy("web", specs.MACSpoof, uint64(i%5))
		sent += 1 + e.LeftOut
		if l.Pass(e, now.Add(time.Duration(i)*100*time.Millisecond)) {
			reported += 1 + e.LeftOut
		}
	}
	last := eventBy("web", specs.MACSpoof, 0)
	if !l.Pass(last, now.Add(time.Hour)) {
		t.Fatal("held back after an hour")
	}
	if sent++; reported+1+last.LeftOut != sent {
		t.Errorf("events report %d, want %d", reported+1+last.LeftOut, sent)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l, now := NewLimiter(), time.Unix(1000, 0)
	for i := range maxBuckets + 200 {
		if !l.Pass(eventBy(fmt.Sprint(i), specs.MACSpoof, 0), now) {
			t.Fatalf("endpoint %d is held back", i)
		}
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d are remembered, want at most %d", len(l.buckets), maxBuckets)
	}
}
