package main

import (
	"context"
	"syscall"
	"testing"
	"time"

	"berth/agent/client"
	"berth/specs"
)

// TestEventsOfTheTimeWithoutAnAgent forges frames while no agent runs. The kernel keeps the
// events, and the next agent reports them, with their parent and names.
func TestEventsOfTheTimeWithoutAnAgent(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	for i := range 5 {
		a.stopAgent(syscall.SIGKILL)
		forged := specs.FrameMAC{2, 0, 0x5e, 0, 0x53, byte(0x60 + i)}
		web.forgeFrames(forged, 1)
		a = l.startAgent()
		e := l.firstEvent(forged)
		if e.Kind != specs.MACSpoof || e.Parent != parent || e.Sender == nil || e.Sender.ContainerID != "web" {
			t.Errorf("start %d: event %+v", i, e)
		}
	}
}

// firstEvent waits for the first event of a frame from a MAC.
func (l *lab) firstEvent(from specs.FrameMAC) specs.Event {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	for e, err := range l.client.Events(ctx, client.Filter{Follow: true}) {
		mustSucceed(l.t, err)
		if e.MAC == from {
			return e
		}
	}
	l.t.Fatalf("no event of a frame from %v", from)
	return specs.Event{}
}
