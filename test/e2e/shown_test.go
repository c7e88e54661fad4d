package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"berth/specs"
	"berth/test/lab"
)

// observedOn waits until berth ps shows an observed and counted interface with an address, and
// returns it.
func (s *site) observedOn(t *testing.T, address string) (e specs.Endpoint) {
	t.Helper()
	must(t, lab.Eventually(60*time.Second, func() error {
		all := s.ps(t)
		i := slices.IndexFunc(all, func(e specs.Endpoint) bool {
			return e.Origin == specs.OriginObserved && e.Counted && e.Phase == specs.PhaseAttached &&
				e.Counters.Transmit.Total().Packets > 0 && len(e.Addresses) > 0 && e.Addresses[0].Addr().String() == address
		})
		if i < 0 {
			return fmt.Errorf("berth ps shows %+v, want an observed interface with %s", all, address)
		}
		e = all[i]
		return nil
	}))
	return e
}

// expectShown checks that each command and the metrics show an observed interface as berth ps --json
// does, and no violation of it.
func (s *site) expectShown(t *testing.T, e specs.Endpoint) {
	t.Helper()
	if e.Name == "" || e.MAC.IsZero() || e.MTU == 0 || e.Driver == "" || e.Network != "" || len(e.Violations) != 0 {
		t.Errorf("berth ps --json shows %+v", e)
	}
	named := e.Name
	if e.EngineNetwork != nil {
		named = e.EngineNetwork.String()
	}
	for command, args := range map[string][]string{
		"ps": {"ps"}, "ps --wide": {"ps", "--wide"}, "inspect": {"inspect", e.ContainerID}, "stats": {"stats", "--no-stream"},
	} {
		text, err := s.Berth(args...)
		must(t, err)
		wanted := []string{e.Interface, named}
		if command == "ps" {
			expectNarrow(t, text, e)
			wanted = []string{e.MAC.String(), e.Addresses[0].String(), e.Parent, string(e.Mode)}
		}
		if command != "stats" {
			wanted = append(wanted, "observed")
		}
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				t.Errorf("berth %s shows no %q of %+v:\n%s", command, want, e, text)
			}
		}
	}
	var inspected []specs.Endpoint
	must(t, s.BerthJSON(&inspected, "inspect", e.ContainerID))
	isOne := func(o specs.Endpoint) bool {
		return o.MAC == e.MAC && o.Interface == e.Interface && o.Origin == e.Origin && slices.Equal(o.Addresses, e.Addresses)
	}
	if !slices.ContainsFunc(inspected, isOne) {
		t.Errorf("berth inspect --json shows %+v, want %+v", inspected, e)
	}
	text, err := s.Berth("stats", "--no-stream", "--json")
	must(t, err)
	if !slices.ContainsFunc(decodeLines[specs.Stats](t, text), func(o specs.Stats) bool {
		return o.MAC == e.MAC && o.Origin == e.Origin && o.Name == e.Name && o.Counted && o.Totals.Transmit.Packets > 0
	}) {
		t.Errorf("berth stats --json shows %s, want %+v", text, e)
	}
	s.expectScraped(t, e.ContainerID, 1)
	s.expectOnTop(t, e.Interface, e.Name, "(observed)")
}

// expectNarrow checks that a table of 80 columns shows an interface's container and network, which it
// may shorten, but not to less than six columns.
func expectNarrow(t *testing.T, text string, e specs.Endpoint) {
	t.Helper()
	network := "-"
	if e.EngineNetwork != nil {
		network = e.EngineNetwork.String()
	}
	for _, want := range []string{e.Name, network + "@" + e.Interface} {
		if !slices.ContainsFunc(strings.Fields(text), func(word string) bool {
			start, isCut := strings.CutSuffix(word, "…")
			return word == want || isCut && len(start) >= 5 && strings.HasPrefix(want, start)
		}) {
			t.Errorf("berth ps shows no %q of %+v:\n%s", want, e, text)
		}
	}
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line of berth ps has %d columns, want 80 at most:\n%s", n, text)
		}
	}
}

// expectDuplicate gives an interface that is shown the address of an attachment, by a function that
// runs ip(8) in its namespace: berth events names both.
func (s *site) expectDuplicate(t *testing.T, e specs.Endpoint, address string, ip func(args ...string) (string, error)) {
	t.Helper()
	_, err := ip("address", "add", address+"/32", "dev", e.Interface)
	must(t, err)
	must(t, lab.Eventually(30*time.Second, func() error {
		all := s.events(t)
		for _, v := range all {
			if v.Kind == specs.DuplicateIP && v.Sender != nil && v.Sender.Origin == specs.OriginObserved &&
				v.Sender.ContainerID == e.ContainerID && v.Owner != nil && v.Owner.Origin == specs.OriginBerth {
				return nil
			}
		}
		return fmt.Errorf("berth events shows %+v, want duplicate-ip of %s by %s", all, address, e.ContainerID)
	}))
	for _, o := range s.ps(t) {
		if o.Origin == specs.OriginBerth && len(o.Violations) != 0 {
			t.Errorf("the owner of the address is accused: %+v", o)
		}
	}
	_, err = ip("address", "delete", address+"/32", "dev", e.Interface)
	must(t, err)
}

// TestObservedByHand shows interfaces that ip(8) made: of a named namespace, and a macvtap interface
// of the host.
func TestObservedByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	r := &lab.Runc{Host: s.Host, Rootfs: rootfs}
	startOnLAN(t, s, r, s.id("victim"))
	name := s.id("named")
	const address, tap = "192.0.2.201", "192.0.2.202"
	for _, args := range [][]string{
		{"netns", "add", name},
		{"link", "add", "link", "eth1", "name", "mv0", "netns", name, "type", "macvlan", "mode", "bridge"},
		{"-n", name, "address", "add", address + "/24", "dev", "mv0"},
		{"-n", name, "link", "set", "mv0", "up"},
		{"link", "add", "link", "eth1", "name", "tap0", "type", "macvtap", "mode", "vepa"},
		{"address", "add", tap + "/24", "dev", "tap0"},
		{"link", "set", "tap0", "up"},
	} {
		_, err := s.Run("ip", args...)
		must(t, err)
	}
	inNamed := func(args ...string) (string, error) { return s.Run("ip", append([]string{"-n", name}, args...)...) }
	send := func(what string, args ...string) {
		expectPing(t, what, func() (string, error) { return s.Run(args[0], args[1:]...) })
	}
	send("from the named namespace", "ip", "netns", "exec", name, "ping", "-c", "2", "-i", "0.1", "-W", "20", neighborIP)
	_, _ = s.Run("busybox", "arping", "-c", "2", "-w", "2", "-I", "tap0", neighborIP) // only the frames matter
	e := s.observedOn(t, address)
	if e.ContainerID != "netns:"+name || e.Name != name || e.Mode != specs.ModeBridge || e.Parent != "eth1" || e.EngineNetwork != nil {
		t.Errorf("the named namespace is shown as %+v", e)
	}
	s.expectShown(t, e)
	host := s.observedOn(t, tap)
	if host.ContainerID != "netns:host" || host.Interface != "tap0" || host.Mode != specs.ModeVEPA || host.Parent != "eth1" {
		t.Errorf("the macvtap interface is shown as %+v", host)
	}
	s.expectShown(t, host)
	s.expectDuplicate(t, e, firstOfPool, inNamed)
	must(t, r.Stop(s.id("victim")))
	_, err := s.Run("ip", "netns", "delete", name)
	must(t, err)
}

// TestObservedOfCNI shows a container on a macvlan network that podman made by CNI.
func TestObservedOfCNI(t *testing.T) {
	t.Parallel()
	if lab.HasNetavark() {
		t.Skip("this podman makes its networks by netavark: it has no CNI")
	}
	s := newSite(t)
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs}
	must(t, p.Setup())
	s.expectObservedOf(t, p, p.Client, specs.EngineCNI, func(bool) {})
}

// expectObservedOf shows a container on a macvlan network of an engine's own, on the parent of one of
// berth's. client runs the engine's command line, program makes its networks, and setPlain selects
// whether the engine starts containers without berth.
func (s *site) expectObservedOf(t *testing.T, engine lab.Engine, client func(args ...string) (string, error), program string,
	setPlain func(bool)) {
	t.Helper()
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	const network = "home"
	_, err := client("network", "create", "--driver", "macvlan", "--opt", "parent=eth1", "--subnet", "192.0.2.0/24",
		"--ip-range", "192.0.2.208/28", network)
	must(t, err)
	victim := lab.Container{ID: s.id("victim"), Args: []string{"sleep", "600"}, Annotations: annotations{"berth/networks": "lan"}}
	_, err = engine.Start(victim)
	must(t, err)
	c := lab.Container{ID: s.id("observed"), Network: network, Args: []string{"sleep", "600"}}
	setPlain(true)
	id, err := engine.Start(c)
	must(t, err)
	expectPing(t, "from the container", func() (string, error) {
		return engine.Exec(c.ID, "ping", "-c", "2", "-i", "0.1", "-W", "20", neighborIP)
	})
	text, err := engine.Exec(c.ID, "ip", "-o", "-4", "address", "show", "eth0")
	must(t, err)
	fields := strings.Fields(text) // 2: eth0 inet ADDRESS …
	if len(fields) < 4 {
		t.Fatalf("eth0 has %q, want an address", text)
	}
	address, _, _ := strings.Cut(fields[3], "/")
	want := specs.EngineNetwork{Engine: program, Name: network}
	must(t, lab.Eventually(60*time.Second, func() error {
		e := s.observedOn(t, address)
		if e.EngineNetwork == nil || *e.EngineNetwork != want || e.ContainerID != id || e.Name != c.ID {
			return fmt.Errorf("berth ps shows %+v, want the network %s of %s, named %s", e, want, id, c.ID)
		}
		return nil
	}))
	e := s.observedOn(t, address)
	s.expectShown(t, e)
	s.expectDuplicate(t, e, firstOfPool, func(args ...string) (string, error) { return engine.Exec(c.ID, "ip", args...) })
	must(t, engine.Stop(c.ID))
	must(t, engine.Stop(victim.ID))
}
