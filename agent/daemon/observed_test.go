package daemon

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"berth/agent/metrics"
	"berth/agent/observe"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// seen returns an interface that is up, in namespace 5.
func seen(index int, name string, mac specs.MAC) observe.Interface {
	return observe.Interface{NSID: 5, Link: observe.Link{
		Index: index, Name: name, MAC: mac, Up: true, MTU: 1500, Driver: specs.Macvlan, Mode: specs.ModeBridge, ParentIndex: 4,
	}, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}}
}

func pointers(all []observe.Interface) (to []*observe.Interface) {
	for i := range all {
		to = append(to, &all[i])
	}
	return to
}

// planOf plans for interfaces on eth1, of which berth created none.
func planOf(known map[string]*state.Attachment, found ...observe.Interface) observedPlan {
	return planObserved(scan{found: pointers(found), own: func(*observe.Interface) bool { return false }, parents: map[int]string{4: "eth1"},
		now: time.Unix(100, 0), holders: map[int]observe.Holder{5: {PID: 31, Name: "sleep"}}}, known)
}

func wantPlan(t *testing.T, p observedPlan, ended, changed, created int) {
	t.Helper()
	if len(p.ended) != ended || len(p.changed) != changed || len(p.created) != created {
		t.Errorf("%d ended, %d changed, %d created; want %d, %d, %d", len(p.ended), len(p.changed), len(p.created), ended, changed, created)
	}
}

// knownOf returns the records after a plan.
func knownOf(p observedPlan) map[string]*state.Attachment {
	known := make(map[string]*state.Attachment)
	for _, is := range append(p.created, p.changed...) {
		known[is.Key()] = is
	}
	return known
}

func TestObservedPlan(t *testing.T) {
	one := seen(2, "eth0", macA)
	p := planOf(nil, one)
	wantPlan(t, p, 0, 0, 1)
	if is := p.created[0]; is.Containers[0] != "pid:31" || is.Holder != "sleep" || is.Parent != "eth1" || !is.Observed || is.Created != time.Unix(100, 0) {
		t.Errorf("record %+v", is)
	}
	known := knownOf(p)
	wantPlan(t, planOf(known, one), 0, 0, 0)
	wantPlan(t, planOf(known), 1, 0, 0)
	for what, change := range map[string]func(*observe.Interface){
		"MAC":     func(i *observe.Interface) { i.Link.MAC = macB },
		"name":    func(i *observe.Interface) { i.Link.Name = "lan0" },
		"mode":    func(i *observe.Interface) { i.Link.Mode = specs.ModeVEPA },
		"address": func(i *observe.Interface) { i.Addresses = nil },
	} {
		t.Run(what, func(t *testing.T) {
			other := seen(2, "eth0", macA)
			change(&other)
			wantPlan(t, planOf(known, other), 0, 1, 0)
		})
	}
	down := seen(2, "eth0", macA)
	down.Link.Up = false
	wantPlan(t, planOf(nil, down), 0, 0, 0)
	wantPlan(t, planOf(known, down), 0, 0, 0)
	wantPlan(t, planOf(known, seen(2, "lan0", macB)), 1, 0, 1) // the namespace's ID was reused
	elsewhere := seen(3, "eth1", macB)
	elsewhere.Link.ParentIndex = 9
	wantPlan(t, planOf(nil, elsewhere), 0, 0, 0)
}

// TestReusedNamespaceID has an interface of the same name and index in another namespace: it
// has a record of its own.
func TestReusedNamespaceID(t *testing.T) {
	known := knownOf(planOf(nil, seen(2, "eth0", macA)))
	plan := func(change func(*scan, *observe.Interface)) observedPlan {
		s := scan{own: func(*observe.Interface) bool { return false }, parents: map[int]string{4: "eth1"}, now: time.Unix(200, 0)}
		one := seen(2, "eth0", macB)
		change(&s, &one)
		s.found = []*observe.Interface{&one}
		return planObserved(s, known)
	}
	wantPlan(t, plan(func(*scan, *observe.Interface) {}), 0, 1, 0) // the MAC has changed
	wantPlan(t, plan(func(s *scan, _ *observe.Interface) { s.unheard = true }), 1, 0, 1)
	wantPlan(t, plan(func(s *scan, i *observe.Interface) { s.unheard, i.Link.MAC = true, macA }), 0, 0, 0)
	wantPlan(t, plan(func(s *scan, _ *observe.Interface) { s.renewed = map[int]bool{6: true} }), 0, 1, 0)
	renewed := func(s *scan, i *observe.Interface) { s.renewed, i.Link.MAC = map[int]bool{5: true}, macA }
	wantPlan(t, plan(renewed), 1, 0, 1)
	wantPlan(t, plan(func(s *scan, i *observe.Interface) { renewed(s, i); i.Link.Up = false }), 1, 0, 0)

	ipvlan := seen(2, "eth0", macA)
	ipvlan.Link.Driver = specs.IPvlan
	known = knownOf(planOf(nil, ipvlan))
	wantPlan(t, plan(func(s *scan, i *observe.Interface) { s.unheard, *i = true, ipvlan }), 0, 0, 0)
	wantPlan(t, plan(func(s *scan, i *observe.Interface) { s.unheard, *i, i.Addresses = true, ipvlan, nil }), 1, 0, 1)
}

// TestEndOfNamespaceIsHeardLate assigns the ID again before the end of the former namespace is
// heard: that end is not the new namespace's, but the next one is.
func TestEndOfNamespaceIsHeardLate(t *testing.T) {
	o := &observer{news: newNews(), late: make(map[int]bool), wakes: make(chan struct{}, 1),
		known: knownOf(planOf(nil, seen(2, "eth0", macA)))}
	n := newNews()
	o.noteFresh(&n, []int{5, 6})
	if !n.renewed[5] || !n.due[5][0] || !n.renewed[6] {
		t.Errorf("assigned again: %+v", n)
	}
	for _, c := range []struct {
		change network.Change
		want   bool
	}{{network.Change{NSID: 5, Ended: true}, false}, {network.Change{NSID: 5}, false}, {network.Change{NSID: 5, Ended: true}, true}} {
		if o.noteChange(c.change); o.news.renewed[5] != c.want {
			t.Errorf("%+v: another namespace: %t, want %t", c.change, !c.want, c.want)
		}
	}
}

// TestNewsOfLinks notes changes of links, and reads their namespaces again after an error.
func TestNewsOfLinks(t *testing.T) {
	o := &observer{news: newNews(), late: make(map[int]bool), wakes: make(chan struct{}, 1)}
	for _, c := range []network.Change{{NSID: 5, Index: 2}, {NSID: 5, Index: 3, Address: true}, {NSID: -1, Index: 4}} {
		o.noteChange(c)
	}
	links := func(all ...int) (is map[int]bool) {
		is = make(map[int]bool)
		for _, index := range all {
			is[index] = true
		}
		return is
	}
	want := changedLinks{5: links(2, 3), observe.Host: links(4)}
	if !reflect.DeepEqual(o.news.due, want) || o.news.every {
		t.Errorf("changes are noted as %+v, want %v", o.news, want)
	}
	read := o.news
	o.news = newNews()
	o.noteChange(network.Change{NSID: 6, Index: 2})
	o.keepNews(&read)
	want = changedLinks{5: links(0), observe.Host: links(0), 6: links(2)}
	if !reflect.DeepEqual(o.news.due, want) || o.news.every {
		t.Errorf("after an error %+v is to be read, want %v", o.news, want)
	}
	if o.noteChange(network.Change{NSID: -1, Lost: true}); !o.news.every || !o.news.unheard {
		t.Errorf("after lost notifications %+v", o.news)
	}
}

// TestHolderOfAnObservedInterface finds the container after the interface, and keeps it.
func TestHolderOfAnObservedInterface(t *testing.T) {
	s := scan{found: pointers([]observe.Interface{seen(2, "eth0", macA)}), own: func(*observe.Interface) bool { return false },
		parents: map[int]string{4: "eth1"}, now: time.Unix(100, 0)}
	var known map[string]*state.Attachment
	for _, c := range []struct {
		holder observe.Holder
		want   string
	}{
		{observe.Holder{Name: "1f5c"}, "netns:1f5c"},
		{observe.Holder{PID: 7, Name: "runc", ContainerID: "c0ffee"}, "c0ffee"},
		{observe.Holder{PID: 9, Name: "sh"}, "c0ffee"}, // of a process that entered the namespace
		{observe.Holder{PID: 7, Name: "web", Machine: "lxc:web"}, "lxc:web"},
		{observe.Holder{PID: 9, Name: "sh"}, "lxc:web"},
	} {
		s.holders = map[int]observe.Holder{5: c.holder}
		p := planObserved(s, known)
		if all := knownOf(p); len(all) > 0 {
			known = all
		}
		for _, is := range known {
			if is.Containers[0] != c.want {
				t.Errorf("%+v: container %q, want %q", c.holder, is.Containers[0], c.want)
			}
		}
	}
}

// TestGuestOfAnObservedInterface finds the virtual machine after its macvtap interface, and keeps it
// when the machine changes its MAC.
func TestGuestOfAnObservedInterface(t *testing.T) {
	tap := seen(9, "macvtap0", macA)
	tap.NSID, tap.Link.Tap = observe.Host, true
	s := scan{own: func(*observe.Interface) bool { return false }, parents: map[int]string{4: "eth1"}, now: time.Unix(100, 0)}
	var known map[string]*state.Attachment
	for _, c := range []struct {
		mac    specs.MAC
		guests map[specs.MAC]observe.Holder
		want   string
	}{
		{macA, nil, hostHolder},
		{macA, map[specs.MAC]observe.Holder{macA: {PID: 7, Machine: "vm:web", Name: "web"}}, "vm:web"},
		{macB, nil, "vm:web"},
	} {
		tap.Link.MAC = c.mac
		s.found, s.guests = []*observe.Interface{&tap}, c.guests
		p := planObserved(s, known)
		known = knownOf(p)
		if len(known) != 1 {
			t.Fatalf("%d records, want 1", len(known))
		}
		for _, is := range known {
			if is.Containers[0] != c.want {
				t.Errorf("with %v: %q, want %q", c.guests, is.Containers[0], c.want)
			}
		}
	}
}

func TestOwnLinks(t *testing.T) {
	live := &record{key: "0000000000000007/net1", phase: specs.PhaseAttached, nsid: 8, linkIndex: 3, parentIndex: 4,
		Endpoint: metrics.Endpoint{MAC: macA, Driver: specs.Macvlan}}
	own := isOwnLink([]*record{live, {key: "observed/5/2", observed: true, nsid: 5, linkIndex: 2, parentIndex: 4, Endpoint: metrics.Endpoint{MAC: macB}}})
	for what, c := range map[string]struct {
		change func(*observe.Interface)
		want   bool
	}{
		"another":           {func(*observe.Interface) {}, false},
		"by its alias":      {func(i *observe.Interface) { i.Link.Alias = "berth:0000000000000007/net1" }, true},
		"a foreign alias":   {func(i *observe.Interface) { i.Link.Alias = "berth:0000000000000008/net1" }, false},
		"a host shim":       {func(i *observe.Interface) { i.NSID, i.Link.Alias = observe.Host, "berth:host/lan/1" }, true},
		"a container's lie": {func(i *observe.Interface) { i.Link.Alias = "berth:host/lan/1" }, false},
		"by its place":      {func(i *observe.Interface) { i.NSID, i.Link.Index = 8, 3 }, true},
		"by its MAC":        {func(i *observe.Interface) { i.Link.MAC = macA }, true},
	} {
		i := seen(2, "eth0", macB)
		c.change(&i)
		if got := own(&i); got != c.want {
			t.Errorf("%s: %t, want %t", what, got, c.want)
		}
	}
}

func TestPartyOfAnObservedInterface(t *testing.T) {
	at := &state.Attachment{Observed: true, NSID: 5, LinkIndex: 2, Containers: []string{"c0ffee"}, Holder: "cam",
		EngineNetwork: &specs.EngineNetwork{Engine: specs.EngineDocker, Name: "home"}, Interface: "eth0", MAC: macA}
	p := partyOf(newRecord(at, make(intern)))
	if p.Origin != specs.OriginObserved || p.EngineNetwork == nil || p.EngineNetwork.String() != "docker:home" || p.Network != "" {
		t.Errorf("party %+v", p)
	}
}

// TestNewInterfaceOfAKnownNamespace has the holder of the known interfaces without a search, unless the
// namespace is another one now or no holder is known.
func TestNewInterfaceOfAKnownNamespace(t *testing.T) {
	known := knownOf(planOf(nil, seen(2, "eth0", macA)))
	for name, c := range map[string]struct {
		change  func(*state.Attachment)
		renewed map[int]bool
		want    string // the ID of the new interface's holder
	}{
		"process":         {want: "pid:31"},
		"container":       {change: func(at *state.Attachment) { at.Containers = []string{"web"} }, want: "web"},
		"other namespace": {renewed: map[int]bool{5: true}, want: "nsid:5"},
		"no holder":       {change: func(at *state.Attachment) { at.Holder = "" }, want: "nsid:5"},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			o := &observer{known: make(map[string]*state.Attachment), held: make(map[int]*state.Attachment), holdersAt: now.Add(time.Hour)}
			for _, at := range known {
				is := *at
				if is.Created = now; c.change != nil {
					c.change(&is)
				}
				o.noteRecord(&is)
			}
			fresh := seen(3, "eth1", macB)
			s := scan{found: []*observe.Interface{&fresh}, own: func(*observe.Interface) bool { return false },
				parents: map[int]string{4: "eth1"}, now: now, renewed: c.renewed}
			if c.want == "nsid:5" { // a search finds nothing: there is no such namespace
				o.host = strictHandle(t)
			}
			o.findHolders(&s, false)
			p := planObserved(s, o.known)
			if len(p.created) != 1 || p.created[0].Containers[0] != c.want {
				t.Errorf("created %+v, want the holder %s", p.created, c.want)
			}
		})
	}
}

func strictHandle(t *testing.T) *network.Handle {
	t.Helper()
	h, err := network.NewStrictHandle()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}
