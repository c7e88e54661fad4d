package network

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

func TestHostRoutes(t *testing.T) {
	t.Parallel()
	ns, n := newContainer(t)
	h := newInsideHandle(t, n)
	for _, name := range []string{"one", "two"} {
		testnet.Veth(t, name, ns, name+"b", testnet.Namespace(t))
		testnet.Address(t, ns, name, "2001:db8::1/128")
	}
	testnet.Address(t, ns, "one", "192.0.2.1/32")
	one, two := testnet.Link(t, ns, "one").Attrs().Index, testnet.Link(t, ns, "two").Attrs().Index
	routes := []HostRoute{
		{To: netip.MustParseAddr("192.0.2.65"), Src: netip.MustParseAddr("192.0.2.1")},
		{To: netip.MustParseAddr("2001:db8::41"), Src: netip.MustParseAddr("2001:db8::1")},
	}
	testnet.Run(t, ns, "ip", "route", "add", "192.0.2.65/32", "dev", "one", "metric", "7")
	for _, r := range routes {
		for range 2 { // the second call changes nothing
			if err := h.AddHostRoute(one, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.AddHostRoute(two, r); !errors.Is(err, ErrExists) {
			t.Errorf("by another way: %v", err)
		}
	}
	if got, err := h.HostRoutes(one); err != nil || len(got) != 2 || got[0] != routes[0] || got[1] != routes[1] {
		t.Errorf("routes %v, %v", got, err)
	}
	wantIs(t, h.AddHostRoute(9999, HostRoute{To: netip.MustParseAddr("192.0.2.99")}), ErrNoLink)
	for _, r := range routes {
		for range 2 {
			if err := h.DeleteHostRoute(one, r); err != nil {
				t.Error(err)
			}
		}
	}
	if got, err := h.HostRoutes(one); err != nil || len(got) != 0 {
		t.Errorf("routes left: %v, %v", got, err)
	}
	if out := testnet.Run(t, ns, "ip", "route", "show", "192.0.2.65"); out == "" {
		t.Error("an administrator's route is gone")
	}
}

func TestASwitchThatReflects(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	for _, reflecting := range []bool{false, true} {
		ns, n := newContainer(t)
		h := newInsideHandle(t, n)
		wire := testnet.Namespace(t)
		testnet.Veth(t, "p", ns, "port", wire)
		testnet.Bridge(t, wire, "br", "port")
		if reflecting {
			testnet.Hairpin(t, wire, "port")
		}
		parent := testnet.Link(t, ns, "p").Attrs().Index
		l, err := h.CreateLink(n, Link{Name: "v", ParentIndex: parent, Driver: specs.Macvlan, Mode: specs.ModeVEPA})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.SetUp(l.Index); err != nil {
			t.Fatal(err)
		}
		timeout := 10 * time.Second
		if !reflecting {
			timeout = 50 * time.Millisecond
		}
		if got, err := Reflects(t.Context(), n, parent, l, timeout); err != nil || got != reflecting {
			t.Errorf("Reflects = %t, %v, want %t", got, err, reflecting)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Reflects(ctx, n, parent, l, timeout); !reflecting && !errors.Is(err, context.Canceled) {
			t.Errorf("after its context ended: %v", err)
		}
	}
}

func TestAnswerARPByRoute(t *testing.T) {
	t.Parallel()
	ns, n := newContainer(t)
	testnet.Veth(t, "a", ns, "b", testnet.Namespace(t))
	if err := n.AnswerARPByRoute("a"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"arp_filter": "1\n", "arp_announce": "2\n"} {
		if got := testnet.Run(t, ns, "cat", "/proc/sys/net/ipv4/conf/a/"+name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if err := n.AnswerARPByRoute("none"); !errors.Is(err, ErrNoLink) {
		t.Errorf("of no interface: %v", err)
	}
}
