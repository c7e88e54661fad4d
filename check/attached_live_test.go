package check

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// container is a namespace with a recorded interface, as a hook leaves it.
type container struct {
	*host
	ns *testnet.NS
	n  *network.Namespace
	a  *state.Attachment
}

// attachContainer creates and records net1 with two addresses, a default route each, and a static
// one.
func (h *host) attachContainer(name string, last byte, mode specs.Mode) *container {
	h.Helper()
	c := &container{host: h, ns: testnet.Namespace(h)}
	testnet.Process(h, c.ns)
	var err error
	if c.n, err = network.OpenPath(c.ns.Path()); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = c.n.Close() }) // a test may have closed it already
	parent, err := h.c.Host.Parent("eth1")
	if err != nil {
		h.Fatal(err)
	}
	c.a = &state.Attachment{
		Containers: []string{name}, Network: "lan", Driver: specs.Macvlan, Mode: mode, Parent: "eth1", ParentIndex: parent.Index,
		Interface: "net1", MAC: testMAC(last), MTU: 1500, Phase: specs.PhaseAttached,
		Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, 64 + last}), 24), netip.MustParsePrefix("2001:db8::41/64")},
		Gateways:  []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		Routes:    []specs.Route{{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.2"), Metric: 7}},
	}
	var errCookie, errID error
	c.a.Cookie, errCookie = c.n.Cookie()
	c.a.NSID, errID = h.c.Host.AssignNSID(c.n)
	if err := errors.Join(errCookie, errID, c.makeInterface()); err != nil {
		h.Fatal(err)
	}
	h.putRecord(c.a)
	return c
}

func (c *container) makeInterface() error {
	a := c.a
	info, err := c.c.Host.CreateLink(c.n, network.Link{
		Name: a.Interface, ParentIndex: a.ParentIndex, Driver: a.Driver, Mode: a.Mode, MAC: a.MAC, MTU: a.MTU, Alias: a.Alias(),
	})
	if err != nil {
		return err
	}
	a.LinkIndex = info.Index
	in, err := c.n.Open()
	if err == nil {
		err = in.SetUp(info.Index)
	}
	for _, p := range a.Addresses {
		err = errors.Join(err, in.AddAddress(info.Index, p, true))
	}
	for _, gw := range a.Gateways {
		err = errors.Join(err, in.AddRoute(info.Index, network.Route{Via: gw}))
	}
	for _, r := range a.Routes {
		err = errors.Join(err, in.AddRoute(info.Index, network.Route{To: r.To, Via: r.Via, Metric: r.Metric}))
	}
	return err
}

// runInside runs ip(8) in the container, for each command separated by a semicolon.
func (c *container) runInside(all string) {
	c.Helper()
	for args := range strings.SplitSeq(all, ";") {
		testnet.Run(c, c.ns, "ip", strings.Fields(args)...)
	}
}

func (h *host) attachedLines() []Line {
	h.Helper()
	lines, err := h.c.Attached(h.Context(), nil)
	if err != nil {
		h.Fatal(err)
	}
	return lines
}

func TestAttached(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	for name, c := range map[string]struct {
		change      string // ip(8) in the container
		check, part string
		result      Result
	}{
		"nothing":       {change: "link show", check: "routes", result: Pass, part: "default via 192.0.2.1, default via 2001:db8::1, 198.51.100.0/24 via 192.0.2.2 metric 7"},
		"MAC":           {change: "link set net1 address 02:00:5e:00:53:99", check: "MAC", result: Fail, part: "is 02:00:5e:00:53:99, recorded is 02:00:5e:00:53:01"},
		"MTU":           {change: "link set net1 mtu 1400", check: "MTU", result: Fail, part: "is 1400, recorded is 1500"},
		"mode":          {change: "link set net1 type macvlan mode private", check: "mode", result: Fail, part: "is macvlan private"},
		"alias":         {change: "link set net1 alias mine", check: "alias", result: Fail, part: `is "mine"`},
		"address":       {change: "addr del 2001:db8::41/64 dev net1", check: "address", result: Fail, part: "2001:db8::41/64 is recorded but not assigned"},
		"extra address": {change: "addr add 203.0.113.5/32 dev net1", check: "address", result: Fail, part: "203.0.113.5/32 is assigned but not recorded"},
		"route":         {change: "route del 198.51.100.0/24", check: "routes", result: Fail, part: "the route 198.51.100.0/24 via 192.0.2.2 metric 7 is missing"},
		"default route": {change: "route replace default via 192.0.2.254 dev net1", check: "routes", result: Fail, part: "there is default via 192.0.2.254"},
		"other route":   {change: "route add 203.0.113.0/24 dev net1", check: "routes", result: Pass, part: "default"},
		"renamed":       {change: "link set net1 down; link set net1 name lan0", check: "interface", result: Fail, part: "deleted or renamed"},
		"deleted":       {change: "link del net1", check: "interface", result: Fail, part: "deleted or renamed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			box := h.attachContainer("web", 1, specs.ModeBridge)
			wantLine(t, "as attached", h.attachedLines(), "mode", Pass, "macvlan bridge")
			box.runInside(c.change)
			wantLine(t, name, h.attachedLines(), c.check, c.result, c.part)
		})
	}
}

// TestAttachedDown: a link that is down loses its IPv6 addresses and all routes.
func TestAttachedDown(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	box := h.attachContainer("web", 1, specs.ModeBridge)
	box.runInside("link set net1 down")
	lines := h.attachedLines()
	if got := mustFindLine(t, lines, "up"); got.Result != Fail || !strings.Contains(got.Remedy, "nsenter -t ") {
		t.Errorf("down: %+v", got)
	}
	if got := mustFindLine(t, lines, "MAC"); got.Result != Pass {
		t.Errorf("down: %+v", got)
	}
}

func TestAttachedParent(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	h.attachContainer("web", 1, specs.ModeVEPA)
	h.runIP("link set eth1 down")
	wantLine(t, "parent down", h.attachedLines(), "up", Fail, "its parent eth1 is down")
	h.runIP("link set eth1 up")
	h.runIP("link set eth1 down")
	h.runIP("link set eth1 name lan0")
	h.runIP("link set lan0 up")
	testnet.Eventually(t, "the interface has carrier again", func() bool { return mustFindLine(t, h.attachedLines(), "up").Result == Pass })
	wantLine(t, "parent renamed", h.attachedLines(), "parent", Pass, "eth1, which is now named lan0")
	h.runIP("link del lan0")
	wantLine(t, "parent gone", h.attachedLines(), "interface", Fail, "its parent eth1 was removed")
}

// TestAttachedPassthru: in passthru mode the container may choose its MAC, and its MTU is
// bounded by the parent's.
func TestAttachedPassthru(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	box := h.attachContainer("web", 1, specs.ModePassthru)
	box.runInside("link set net1 address 02:00:5e:00:53:99")
	wantLine(t, "its own MAC", h.attachedLines(), "MAC", Pass, "02:00:5e:00:53:99")
	h.runIP("link set eth1 mtu 1400")
	wantLine(t, "the parent's MTU lowered", h.attachedLines(), "MTU", Fail, "is 1400, recorded is 1500")
}

func TestAttachedDuplicate(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	box := h.attachContainer("web", 1, specs.ModeBridge)
	testnet.Address(t, h.lan, "port", "2001:db8::42/64")
	box.a.Addresses = append(box.a.Addresses, netip.MustParsePrefix("2001:db8::42/64"))
	h.putRecord(box.a)
	box.runInside("addr add 2001:db8::42/64 dev net1")
	testnet.Eventually(t, "duplicate address detection fails", func() bool {
		got := mustFindLine(t, h.attachedLines(), "address")
		return got.Result == Fail && strings.Contains(got.Message, "2001:db8::42/64 is in use by another host")
	})
}

// TestAttachedNamespaces: a dead namespace leaves its record; one without a way in is
// compared as far as the host can see.
func TestAttachedNamespaces(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	box := h.attachContainer("web", 1, specs.ModeBridge)
	quiet := &state.Attachment{
		Cookie: box.a.Cookie + 1<<40, NSID: box.a.NSID, Containers: []string{"quiet"}, Driver: specs.Macvlan, Mode: specs.ModeBridge,
		Parent: "eth1", ParentIndex: box.a.ParentIndex, Interface: "net2", MAC: testMAC(2), MTU: 1500, Phase: specs.PhaseAttached,
		Routes: []specs.Route{{To: netip.MustParsePrefix("203.0.113.0/24")}},
	}
	if _, err := h.c.Host.CreateLink(box.n, network.Link{
		Name: "net2", ParentIndex: quiet.ParentIndex, Driver: quiet.Driver, Mode: quiet.Mode, MAC: quiet.MAC, Alias: quiet.Alias(),
	}); err != nil {
		t.Fatal(err)
	}
	box.runInside("link set net2 up")
	h.putRecord(quiet)
	wantLine(t, "no way in", h.attachedLines(), "routes", Warn, "no process is in the network namespace, and no file names it")
	only, err := h.c.Attached(t.Context(), func(a *state.Attachment) bool { return a.Containers[0] == "web" })
	if err != nil {
		t.Fatal(err)
	}
	wantLine(t, "only the one that is wanted", only, "routes", Pass, "default")
	dead := *box.a
	dead.Cookie, dead.NSID, dead.Containers = 7, 1<<20, []string{"dead"}
	h.putRecord(&dead)
	only, err = h.c.Attached(t.Context(), func(a *state.Attachment) bool { return a.Containers[0] == "dead" })
	if err != nil {
		t.Fatal(err)
	}
	wantLine(t, "dead", only, "interface", Fail, "its network namespace is gone")
}

// TestAttachedReusedID: an ID that was reused for another namespace leads to another link.
func TestAttachedReusedID(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	h := newHost(t)
	now := h.attachContainer("now", 1, specs.ModeBridge)
	before := *now.a
	before.Cookie, before.Containers, before.MAC = now.a.Cookie-1<<40, []string{"before"}, testMAC(9)
	h.putRecord(&before)
	wantLine(t, "two of one id", h.attachedLines(), "interface", Fail, "its network namespace is gone")
}

func TestAttachedNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	wantLine(t, "nothing", h.attachedLines(), "attached", Pass, "nothing")
}
