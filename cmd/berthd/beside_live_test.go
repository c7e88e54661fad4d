package main

import (
	"net"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// TestGroupPacketsOfTheInterface: the parent does not see the copies of broadcasts that an
// interface gets, but the interface counts them. They are shown beside the counts, not in
// them.
func TestGroupPacketsOfTheInterface(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	web.sendFrames(1)
	before := l.endpointOf("web")
	if before.GroupPackets == nil {
		t.Fatal("group packets of a live endpoint are not known")
	}
	testnet.In(t, l.lan, func() {
		conn, err := net.Dial("udp4", "192.0.2.255:9")
		mustSucceed(t, err)
		defer conn.Close()
		for range 5 {
			_, err := conn.Write(payload)
			mustSucceed(t, err)
		}
	})
	testnet.Eventually(t, "five more", func() bool { return *l.endpointOf("web").GroupPackets >= *before.GroupPackets+5 })
	after := l.endpointOf("web").Counters.Receive.External
	if after.Broadcast.Packets+after.Multicast.Packets > 0 {
		t.Errorf("received %+v, want no groups in it", after)
	}
	mustSucceed(t, web.newReleaser().Container(t.Context(), "web"))
	if e := l.endpointOf("web"); e.GroupPackets != nil {
		t.Errorf("group packets %d of an interface that is gone", *e.GroupPackets)
	}
	text := a.scrapeMetrics()
	wantLine(t, text, `berth_agent_map_capacity{map="unknown"} 2048`)
	wantLine(t, text, "berth_agent_unknown_overflow_total 0")
	if !strings.Contains(text, `berth_agent_map_entries{map="unknown"} `) {
		t.Errorf("no unknown MACs in\n%s", text)
	}
}
