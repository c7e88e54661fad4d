package check

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// attachedCase is the input of judgeAttached.
type attachedCase struct {
	*state.Attachment
	seen Seen
}

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func goodAttached() attachedCase {
	gw, gw6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	a := &state.Attachment{
		Cookie: 5, NSID: 1, Containers: []string{"3f2a91"}, Network: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge,
		Parent: "eth1", ParentIndex: 2, Interface: "net1", LinkIndex: 7, MAC: testMAC(1), MTU: 1500,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.65/24"), netip.MustParsePrefix("2001:db8::41/64")},
		Gateways:  []netip.Addr{gw, gw6},
		Routes:    []specs.Route{{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.2"), Metric: 7}},
		Phase:     specs.PhaseAttached, Created: now.Add(-time.Hour),
	}
	return attachedCase{a, Seen{
		Link: &network.LinkInfo{
			Index: 7, Name: "net1", Alias: a.Alias(), Kind: "macvlan", Driver: specs.Macvlan, Mode: specs.ModeBridge,
			MAC: testMAC(1), MTU: 1500, ParentIndex: 2, Up: true, Carrier: true,
		},
		Addresses: []network.AddressInfo{
			{Index: 7, Prefix: a.Addresses[0], Permanent: true},
			{Index: 7, Prefix: a.Addresses[1], Permanent: true},
			{Index: 7, Prefix: netip.MustParsePrefix("fe80::5eff:fe00:5301/64"), Permanent: true},
			{Index: 7, Prefix: netip.MustParsePrefix("2001:db8:9::5301/64")}, // a router's
		},
		Routes: []network.RouteInfo{
			{To: netip.MustParsePrefix("0.0.0.0/0"), Via: gw, Index: 7},
			{To: netip.MustParsePrefix("::/0"), Via: gw6, Metric: 1024, Index: 7},
			{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.2"), Metric: 7, Index: 7},
		},
		Parent: &network.LinkInfo{Index: 2, Name: "eth1", MTU: 1500, Up: true, Carrier: true},
		PID:    4711,
	}}
}

func judgeCase(c attachedCase) []Line { return judgeAttached("web", c.Attachment, c.seen, now) }

func TestJudgeAttached(t *testing.T) {
	goldenVariations(t, "attached", goodAttached, judgeCase, []variation[attachedCase]{
		{"another mode", "mode", Fail, func(c *attachedCase) { c.seen.Link.Mode = specs.ModePrivate }},
		{"another MAC", "MAC", Fail, func(c *attachedCase) { c.seen.Link.MAC = testMAC(9) }},
		{"another MTU", "MTU", Fail, func(c *attachedCase) { c.seen.Link.MTU = 1400 }},
		{"the parent's MTU was lowered", "MTU", Fail, func(c *attachedCase) { c.seen.Link.MTU, c.seen.Parent.MTU = 1400, 1400 }},
		{"down", "up", Fail, func(c *attachedCase) { c.seen.Link.Up = false }},
		{"parent down", "up", Fail, func(c *attachedCase) { c.seen.Parent.Up = false }},
		{"no carrier", "up", Fail, func(c *attachedCase) { c.seen.Link.Carrier = false }},
		{"parent gone", "parent", Fail, func(c *attachedCase) { c.seen.Parent = nil }},
		{"another parent", "parent", Fail, func(c *attachedCase) { c.seen.Link.ParentIndex = 3 }},
		{"parent renamed", "parent", Pass, func(c *attachedCase) { c.seen.Parent.Name = "lan0" }},
		{"another alias", "alias", Fail, func(c *attachedCase) { c.seen.Link.Alias = "mine" }},
		{"no alias", "alias", Fail, func(c *attachedCase) { c.seen.Link.Alias = "" }},
		{"address missing", "address", Fail, func(c *attachedCase) { c.seen.Addresses = c.seen.Addresses[1:] }},
		{"address too many", "address", Fail, func(c *attachedCase) {
			c.seen.Addresses = append(c.seen.Addresses, network.AddressInfo{Prefix: netip.MustParsePrefix("192.0.2.99/24"), Permanent: true})
		}},
		{"another prefix", "address", Fail, func(c *attachedCase) { c.seen.Addresses[0].Prefix = netip.MustParsePrefix("192.0.2.65/25") }},
		{"duplicate", "address", Fail, func(c *attachedCase) { c.seen.Addresses[1].Tentative, c.seen.Addresses[1].DADFailed = true, true }},
		{"tentative", "address", Fail, func(c *attachedCase) { c.seen.Addresses[1].Tentative = true }},
		{"addresses unread", "address", Warn, func(c *attachedCase) { c.seen.AddrErr = fmt.Errorf("list addresses: permission denied") }},
		{"no default route", "routes", Fail, func(c *attachedCase) { c.seen.Routes = c.seen.Routes[1:] }},
		{"another default route", "routes", Fail, func(c *attachedCase) { c.seen.Routes[0].Via = netip.MustParseAddr("192.0.2.254") }},
		{"default route elsewhere", "routes", Fail, func(c *attachedCase) { c.seen.Routes[1].Index = 3 }},
		{"route with another metric", "routes", Fail, func(c *attachedCase) { c.seen.Routes[2].Metric = 8 }},
		{"routes unread", "routes", Warn, func(c *attachedCase) { c.seen.Routes, c.seen.RouteErr = nil, errNoEntry }},
		{"no process known", "MAC", Fail, func(c *attachedCase) { c.seen.PID, c.seen.Link.MAC = 0, testMAC(9) }},
	})
}

// TestJudgeAttachedAbsent requires one line with the reason if there is nothing to compare.
func TestJudgeAttachedAbsent(t *testing.T) {
	judge := func(c attachedCase) []Line { return judgeCase(c)[:1] }
	goldenVariations(t, "attached_absent", func() attachedCase {
		c := goodAttached()
		c.Phase, c.Created = specs.PhaseAttaching, now.Add(-time.Second)
		return c
	}, judge, []variation[attachedCase]{
		{"being attached for long", "interface", Fail, func(c *attachedCase) { c.Created = now.Add(-time.Hour) }},
		{"being attached since tomorrow, before the clock was set back", "interface", Fail,
			func(c *attachedCase) { c.Created = now.Add(24 * time.Hour) }},
		{"being released", "interface", Fail, func(c *attachedCase) { c.Phase, c.Leaving = specs.PhaseAttached, true }},
		{"namespace dead", "interface", Fail, func(c *attachedCase) {
			c.Phase = specs.PhaseAttached
			c.seen = Seen{Err: fmt.Errorf("find interface: %w", network.ErrNoNamespace)}
		}},
		{"id used again", "interface", Fail, func(c *attachedCase) {
			c.Phase, c.seen.Link.Alias, c.seen.Link.MAC = specs.PhaseAttached, "berth:0000000000000006/net1", testMAC(2)
		}},
		{"no such interface", "interface", Fail, func(c *attachedCase) { c.Phase, c.seen.Link = specs.PhaseAttached, nil }},
		{"no parent", "interface", Fail, func(c *attachedCase) { c.Phase, c.seen = specs.PhaseAttached, Seen{} }},
		{"not permitted", "interface", Warn, func(c *attachedCase) {
			c.Phase, c.seen = specs.PhaseAttached, Seen{Err: fmt.Errorf("find interface: operation not permitted")}
		}},
	})
}

// TestJudgeAttachedAllows requires that a mode's allowed changes are no difference.
func TestJudgeAttachedAllows(t *testing.T) {
	for name, change := range map[string]func(*attachedCase){
		"the parent's MAC of ipvlan": func(c *attachedCase) {
			c.Driver, c.Mode, c.seen.Link.Driver, c.seen.Link.Mode, c.seen.Link.Flag = specs.IPvlan, specs.ModeL2, specs.IPvlan, specs.ModeL2, specs.FlagBridge
			c.seen.Link.MAC = testMAC(9)
		},
		"a MAC of its own choice in passthru": func(c *attachedCase) {
			c.Mode, c.seen.Link.Mode, c.seen.Link.MAC = specs.ModePassthru, specs.ModePassthru, testMAC(9)
		},
		"a default route with the network's metric": func(c *attachedCase) { c.seen.Routes[0].Metric = 50 },
		"further routes": func(c *attachedCase) {
			c.seen.Routes = append(c.seen.Routes, network.RouteInfo{To: netip.MustParsePrefix("203.0.113.0/24"), Index: 7})
		},
		"no address and no route": func(c *attachedCase) {
			c.Addresses, c.Gateways, c.Routes, c.seen.Addresses, c.seen.Routes, c.seen.RouteErr = nil, nil, nil, nil, nil, errNoEntry
		},
	} {
		c := goodAttached()
		change(&c)
		for _, l := range judgeCase(c) {
			if l.Result != Pass {
				t.Errorf("%s: %+v", name, l)
			}
		}
	}
	c := goodAttached()
	c.Driver, c.Mode, c.seen.Link.Driver, c.seen.Link.Mode, c.seen.Link.Flag = specs.IPvlan, specs.ModeL2, specs.IPvlan, specs.ModeL2, specs.FlagPrivate
	if got := mustFindLine(t, judgeCase(c), "mode"); got.Result != Fail {
		t.Errorf("another flag of ipvlan: %+v", got)
	}
}
