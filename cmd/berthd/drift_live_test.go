package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/agent/client"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// eventsOf returns the kept events about a container.
func (l *lab) eventsOf(id string, kind specs.Kind) (all []specs.Event) {
	l.t.Helper()
	for e, err := range l.client.Events(l.t.Context(), client.Filter{Container: id, Kind: kind}) {
		mustSucceed(l.t, err)
		all = append(all, e)
	}
	return all
}

// waitEvents waits until n events of a kind about a container were reported and counted.
func (l *lab) waitEvents(id string, kind specs.Kind, n int) []specs.Event {
	l.t.Helper()
	testnet.Eventually(l.t, string(kind)+" of "+id, func() bool {
		return len(l.eventsOf(id, kind)) >= n && l.endpointOf(id).Violations[kind] >= uint64(n)
	})
	all := l.eventsOf(id, kind)
	if got := l.endpointOf(id).Violations[kind]; len(all) != n || got != uint64(n) {
		l.t.Errorf("%s of %s: %d events, counted %d; want %d: %+v", kind, id, len(all), got, n, all)
	}
	return all
}

func (c *container) runIP(args ...string) {
	c.t.Helper()
	testnet.Run(c.t, c.ns, "ip", args...)
}

// waitInspected waits until the agent has checked all earlier changes: it changes another container
// last, and waits for its event.
func (l *lab) waitInspected(c *container) {
	l.t.Helper()
	n := len(l.eventsOf(c.id, specs.AddressDrift)) + 1
	c.runIP("addr", "add", fmt.Sprintf("198.51.100.%d/32", n), "dev", "net1")
	l.waitEvents(c.id, specs.AddressDrift, n)
}

func TestDriftIsReportedOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web, other := l.attachContainer("web", 1), l.attachContainer("other", 2)
	l.waitInspected(other)
	web.runIP("addr", "add", "192.0.2.99/24", "dev", "net1")
	e := l.waitEvents("web", specs.AddressDrift, 1)[0]
	if e.Detail != "address 192.0.2.99/24 is not declared" || e.Certainty != specs.Certain || e.Evidence != specs.ByNetlink ||
		e.Parent != parent || e.Sender == nil || e.Sender.Name != "web-name" || e.Direction != "" {
		t.Errorf("event %+v", e)
	}
	web.runIP("link", "set", "net1", "type", "macvlan", "mode", "private")
	if e := l.waitEvents("web", specs.ModeDrift, 1)[0]; e.Detail != "is macvlan private, declared macvlan bridge" {
		t.Errorf("event %+v", e)
	}
	web.runIP("link", "set", "net1", "address", "02:00:5e:00:53:77")
	if e := l.waitEvents("web", specs.MACDrift, 1)[0]; e.Detail != "is 02:00:5e:00:53:77, declared 02:00:5e:00:53:01" {
		t.Errorf("event %+v", e)
	}
	// As long as it stays, it is not reported again; if it comes back, it is.
	l.waitInspected(other)
	l.waitEvents("web", specs.AddressDrift, 1)
	web.runIP("addr", "del", "192.0.2.99/24", "dev", "net1")
	l.waitInspected(other)
	web.runIP("addr", "add", "192.0.2.99/24", "dev", "net1")
	l.waitEvents("web", specs.AddressDrift, 2)
	wantLine(t, a.scrapeMetrics(), `berth_violations_total{kind="mode-drift",network="lan",parent="eth1"} 1`)
}

// TestDriftOverARestart requires that a starting agent reports its findings, and does not count them twice.
func TestDriftOverARestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web, db := l.attachContainer("web", 1), l.attachContainer("db", 2)
	web.runIP("addr", "add", "192.0.2.99/24", "dev", "net1")
	l.waitEvents("web", specs.AddressDrift, 1)
	a.cmd.Process.Kill()
	<-a.exit
	db.runIP("link", "set", "net1", "type", "macvlan", "mode", "vepa")
	l.startAgent()
	l.waitEvents("web", specs.AddressDrift, 1)
	l.waitEvents("db", specs.ModeDrift, 1)
}

// TestNoDrift: a container's permitted changes, the kernel's own changes, and the end of a
// container are no drift.
func TestNoDrift(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web, gone, other := l.attachContainer("web", 1), l.attachContainer("gone", 2), l.attachContainer("other", 3)
	mustSucceed(t, l.openNamespace(web.ns).SetIPv6("net1", network.IPv6Settings{Mode: specs.IPv6LinkLocal}))
	for _, args := range [][]string{
		{"link", "set", "net1", "down"},
		{"link", "set", "net1", "name", "lan0"}, // also while it is up, from 6.2 on
		{"link", "set", "lan0", "up"},           // with a link-local address now
		{"link", "set", "lan0", "mtu", "1400"},
		{"link", "set", "lan0", "promisc", "on"},
		{"route", "add", "198.51.100.0/24", "via", "192.0.2.250"},
		{"-6", "addr", "add", "2001:db8::9/64", "dev", "lan0", "valid_lft", "600", "preferred_lft", "600"}, // as from a router
	} {
		web.runIP(args...)
	}
	testnet.Run(t, l.lan, "ip", "link", "set", "wire", "down") // no carrier
	testnet.Run(t, l.lan, "ip", "link", "set", "wire", "up")
	mustSucceed(t, gone.newReleaser().Container(t.Context(), "gone"))
	dead := l.attachContainer("dead", 4)
	mustSucceed(t, dead.ns.Close())
	bare := l.attachAs("bare", 5, func(a *state.Attachment) { a.Addresses = nil })
	testnet.Run(t, l.host, "ip", "link", "set", parent, "mtu", "1450")
	bare.runIP("addr", "add", "203.0.113.5/24", "dev", "net1") // it was assigned none
	l.waitInspected(other)
	for e, err := range l.client.Events(t.Context(), client.Filter{}) {
		mustSucceed(t, err)
		if e.Sender == nil || e.Sender.ContainerID != "other" {
			t.Errorf("event %+v", e)
		}
	}
}

func TestPassthruIsShared(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile+"mode = \"passthru\"\n")
	l.startAgent()
	web := l.attachAs("web", 1, func(a *state.Attachment) { a.Mode = specs.ModePassthru })
	web.runIP("link", "set", "net1", "address", "02:00:5e:00:53:70") // which is permitted
	testnet.Run(t, l.host, "ip", "link", "add", "br0", "type", "bridge")
	testnet.Run(t, l.host, "ip", "addr", "add", "fe80::77/64", "dev", parent, "nodad")
	testnet.Run(t, l.host, "ip", "addr", "add", "192.0.2.200/24", "dev", parent)
	if e := l.waitEvents("web", specs.PassthruShared, 1)[0]; e.Detail != "the host has 192.0.2.200/24 on the parent" || e.Sender.ContainerID != "web" {
		t.Errorf("event %+v", e)
	}
	testnet.Run(t, l.host, "ip", "addr", "del", "192.0.2.200/24", "dev", parent)
	testnet.Run(t, l.host, "ip", "addr", "add", "192.0.2.201/24", "dev", "br0") // another container's
	testnet.Run(t, l.host, "ip", "addr", "add", "192.0.2.202/24", "dev", parent)
	l.waitEvents("web", specs.PassthruShared, 2)
	if got := len(l.eventsOf("web", specs.MACDrift)); got > 0 {
		t.Errorf("%d events of the MAC, which may be changed in passthru mode", got)
	}
}

// TestDriftIsReportedByNotification requires that a reader gets the event within a moment, not at the next resync.
func TestDriftIsReportedByNotification(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachContainer("web", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	web.runIP("addr", "add", "192.0.2.99/24", "dev", "net1")
	for e, err := range l.client.Events(ctx, client.Filter{Follow: true}) {
		mustSucceed(t, err)
		if e.Kind != specs.AddressDrift {
			t.Errorf("event %+v", e)
		}
		return
	}
}

// TestDriftWithManyMACs has a container that changes its interface to mode source, with more MACs than
// the kernel can describe. The agent reports it like any other change of the mode.
func TestDriftWithManyMACs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachContainer("web", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	web.runIP("link", "set", "dev", "net1", "type", "macvlan", "mode", "source")
	var batch strings.Builder
	for i := range 5600 {
		fmt.Fprintf(&batch, "link set dev net1 type macvlan macaddr add 02:00:5e:00:%02x:%02x\n", i>>8, i&255)
	}
	path := filepath.Join(t.TempDir(), "batch")
	mustSucceed(t, os.WriteFile(path, []byte(batch.String()), 0o600))
	web.runIP("-batch", path)
	web.runIP("link", "set", "dev", "net1", "mtu", "1400") // the kernel sends no notification of the MACs
	for e, err := range l.client.Events(ctx, client.Filter{Follow: true}) {
		mustSucceed(t, err)
		if e.Kind == specs.ModeDrift && strings.Contains(e.Detail, "thousands of MACs") {
			return
		}
	}
	t.Error("the events ended")
}
