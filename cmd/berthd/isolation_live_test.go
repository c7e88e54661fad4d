package main

import (
	"net"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// askAddress lets a container ask the LAN for an address, at least once.
func (c *container) askAddress(addr string) {
	c.t.Helper()
	testnet.In(c.t, c.ns, func() {
		conn, err := net.Dial("udp", net.JoinHostPort(addr, "9"))
		mustSucceed(c.t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("x"))
		mustSucceed(c.t, err)
	})
}

// waitReconciled waits until the agent has reconciled everything once.
func (l *lab) waitReconciled() {
	l.t.Helper()
	for _, name := range []string{"wake-1", "wake-2"} { // the first reconciliation may have begun before
		before := l.agentStatus().LastReconciled
		l.writeNetwork(name, lanFile+"# "+time.Now().String()+"\n")
		testnet.Eventually(l.t, "a look", func() bool { return l.agentStatus().LastReconciled.After(before) })
	}
}

// TestHostIsolationFollowsTheHost requires the host's present addresses on a parent: a
// container that asks for one gets an event that names the reason.
func TestHostIsolationFollowsTheHost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	testnet.Run(t, l.host, "ip", "addr", "add", "192.0.2.201/32", "dev", parent)
	l.startAgent()
	isolated := func(c *container) uint64 { return l.endpointOf(c.id).Violations[specs.HostIsolation] }
	web, db := l.attachContainer("web", 1), l.attachContainer("db", 2)
	web.askAddress("192.0.2.201")
	var events []specs.Event // the agent may report one later than it counts it
	testnet.Eventually(t, "the address that was there", func() bool {
		events = l.eventsOf("web", specs.HostIsolation)
		return isolated(web) > 0 && len(events) > 0
	})
	if e := events[0]; e.Frame.DestinationIP.String() != "192.0.2.201" || e.Parent != parent {
		t.Errorf("event %+v", e)
	}

	testnet.Run(t, l.host, "ip", "addr", "add", "192.0.2.202/32", "dev", parent)
	testnet.Run(t, l.host, "ip", "addr", "del", "192.0.2.201/32", "dev", parent)
	l.waitReconciled()
	db.askAddress("192.0.2.202")
	testnet.Eventually(t, "the address that came", func() bool { return isolated(db) > 0 })
	late := l.attachContainer("late", 3)
	late.askAddress("192.0.2.201") // no host's now
	late.askAddress(lanAddr)

	// An interface of the host's beside the containers answers for all of them.
	testnet.Run(t, l.host, "ip", "link", "add", "link", parent, "name", "shim", "type", "macvlan", "mode", "bridge")
	testnet.Run(t, l.host, "ip", "link", "set", "shim", "up")
	l.waitReconciled()
	last := l.attachContainer("last", 4)
	last.askAddress("192.0.2.202")
	last.sendFrames(1) // by then its request has passed
	late.sendFrames(1)
	for _, c := range []*container{late, last} {
		if n := isolated(c); n > 0 {
			t.Errorf("%s: %d: %+v", c.id, n, l.eventsOf(c.id, specs.HostIsolation))
		}
	}
}
