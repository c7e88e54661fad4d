package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/agent/client"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

// foreign is a namespace with an interface on the parent that berth did not create.
type foreign struct {
	container
	process *os.Process
}

// makeForeign makes an interface as a CNI plugin does: inside a namespace that has no ID on
// the host. It is not up yet.
func (l *lab) makeForeign(n byte, mode string) *foreign {
	l.t.Helper()
	return l.makeForeignOn(parent, n, mode)
}

// makeForeignOn is makeForeign with another parent.
func (l *lab) makeForeignOn(parent string, n byte, mode string) *foreign {
	l.t.Helper()
	f := &foreign{container: container{lab: l, ns: testnet.Namespace(l.t), mac: specs.MAC{2, 0, 0x5e, 0, 0x53, n}}}
	f.process = testnet.Process(l.t, f.ns)
	f.id = fmt.Sprintf("pid:%d", f.process.Pid)
	testnet.Run(l.t, l.host, "ip", "link", "add", "net1", "link", parent, "netns", fmt.Sprint(f.process.Pid),
		"address", f.mac.String(), "type", "macvlan", "mode", mode)
	testnet.Address(l.t, f.ns, "net1", fmt.Sprintf("192.0.2.%d/24", n))
	return f
}

// setUp sets the interface up, with the machine on the LAN as its neighbour.
func (f *foreign) setUp() {
	f.t.Helper()
	testnet.Run(f.t, f.ns, "ip", "link", "set", "net1", "addrgenmode", "none")
	testnet.Up(f.t, f.ns, "net1")
	f.knowLAN()
}

func (c *container) knowLAN() {
	lanMAC := testnet.Link(c.t, c.lan, "wire").Attrs().HardwareAddr.String()
	testnet.Run(c.t, c.ns, "ip", "neigh", "replace", lanAddr, "lladdr", lanMAC, "dev", "net1")
}

// observed returns the endpoint of an observed interface, or false if it is not counted yet.
func (f *foreign) observed() (specs.Endpoint, bool) {
	f.t.Helper()
	all, err := f.client.Endpoints(f.t.Context(), true)
	mustSucceed(f.t, err)
	for _, e := range all {
		if e.MAC == f.mac {
			return e, e.Counted && e.Origin == specs.OriginObserved
		}
	}
	return specs.Endpoint{}, false
}

func (f *foreign) waitObserved() specs.Endpoint {
	f.t.Helper()
	var e specs.Endpoint
	testnet.Eventually(f.t, "an observed interface", func() (ok bool) {
		e, ok = f.observed()
		return ok && (f.id == "" || e.ContainerID == f.id) // this process may have been in the namespace for a moment
	})
	f.parentIs(parent, specs.ParentCounting)
	return e
}

func TestObservedInterfacesAreCounted(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	before := l.makeForeign(1, "bridge")
	before.setUp()
	a := l.startAgent()
	e := before.waitObserved()
	if e.Name != "sleep" || e.ContainerID != before.id || e.Interface != "net1" || e.Parent != parent || e.Network != "" ||
		e.Driver != specs.Macvlan || e.Mode != specs.ModeBridge || e.Phase != specs.PhaseAttached ||
		len(e.Addresses) != 1 || e.Addresses[0].String() != "192.0.2.1/24" {
		t.Errorf("endpoint %+v", e)
	}
	before.sendFrames(3)
	before.waitSent(3)
	during := l.makeForeign(2, "private")
	during.setUp()
	during.waitObserved()
	during.sendFrames(4)
	during.waitSent(4)
	wantLine(t, a.scrapeMetrics(), fmt.Sprintf(
		`berth_network_transmit_packets_total{container_id="%s",interface="net1",network="",parent="eth1"} 4`, during.id))
	a.stopAgent(syscall.SIGTERM)
	during.sendFrames(5) // counting goes on without the agent
	l.startAgent()
	during.waitObserved()
	during.waitSent(9)
	before.runIP("link", "delete", "net1")
	testnet.Eventually(t, "the end of an observed interface", func() bool {
		e, _ := before.observed()
		return e.Phase == specs.PhaseEnded && e.Counters.Transmit.Total().Packets == 3
	})
}

// TestObservedWithinTime makes interfaces in new namespaces, until one is counted a tenth of a second
// after it is up. On a loaded machine it may be later by the time of some of the agent's answers.
func TestObservedWithinTime(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.startAgent()
	first := l.makeForeign(9, "bridge")
	first.setUp()
	first.waitObserved() // the parent has the programs now
	n := byte(0)
	testnet.Eventually(t, "an interface that is counted within a tenth of a second", func() bool {
		f := l.makeForeign(10+n%200, "bridge")
		n++
		f.setUp()
		since := time.Now()
		f.waitObserved()
		took := time.Since(since)
		f.runIP("link", "delete", "net1")
		since = time.Now()
		l.agentStatus()
		return took <= 100*time.Millisecond+10*time.Since(since)
	})
}

// TestBerthsOwnAreNotObserved attaches a container, and takes the alias away from its
// interface: it stays berth's.
func TestBerthsOwnAreNotObserved(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachContainer("web", 1)
	web.runIP("link", "set", "net1", "alias", "mine")
	f := l.makeForeign(2, "bridge")
	f.setUp()
	f.waitObserved()
	all, err := l.client.Endpoints(t.Context(), true)
	mustSucceed(t, err)
	if len(all) != 2 || l.endpointOf("web").Origin != specs.OriginBerth {
		t.Errorf("%d endpoints, want 2: %+v", len(all), all)
	}
	web.sendFrames(2)
	web.waitSent(2)
}

// TestObservedNetworkIsNamed names the network of an observed interface by docker's file of the
// container, which docker writes after the interface is up, and again after a restart.
func TestObservedNetworkIsNamed(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	docker := filepath.Join(l.config, "docker")
	mustSucceed(t, os.MkdirAll(l.config, 0o755))
	mustSucceed(t, os.WriteFile(filepath.Join(l.config, "berth.toml"), fmt.Appendf(nil, "[agent]\ndocker = %q\n", docker), 0o644))
	a := l.startAgent()
	f, other := l.makeForeign(1, "bridge"), l.makeForeign(2, "bridge")
	f.setUp()
	other.setUp()
	f.waitObserved()
	other.waitObserved()
	id := strings.Repeat("a1", 32)
	file := filepath.Join(docker, "containers", id, "config.v2.json")
	mustSucceed(t, os.MkdirAll(filepath.Dir(file), 0o700))
	mustSucceed(t, os.WriteFile(file, fmt.Appendf(nil, `{"ID":%q,"NetworkSettings":{"Networks":{"home":{"MacAddress":%q}}}}`, id, f.mac.String()), 0o600))
	want := specs.EngineNetwork{Engine: specs.EngineDocker, Name: "home"}
	isNamed := func() bool {
		e, _ := f.observed()
		return e.EngineNetwork != nil && *e.EngineNetwork == want && e.Network == ""
	}
	testnet.Eventually(t, "the network's name", isNamed)
	if e, _ := other.observed(); e.EngineNetwork != nil {
		t.Errorf("another interface is on %s, want no network", e.EngineNetwork)
	}
	a.stopAgent(syscall.SIGTERM)
	mustSucceed(t, os.Remove(file))
	l.startAgent()
	f.runIP("link", "set", "net1", "mtu", "1400")
	testnet.Eventually(t, "the new MTU", func() bool { e, _ := f.observed(); return e.MTU == 1400 })
	if !isNamed() {
		t.Error("the network's name is lost after a change of the interface")
	}
}

// TestObservedAddressIsNotGivenOut stores the addresses of observed interfaces and of docker's
// containers, so that berth does not give them out, until they are released.
func TestObservedAddressIsNotGivenOut(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	docker := filepath.Join(l.config, "docker")
	file := filepath.Join(docker, "containers", strings.Repeat("a1", 32), "config.v2.json")
	mustSucceed(t, os.MkdirAll(filepath.Dir(file), 0o700))
	mustSucceed(t, os.WriteFile(file, []byte(`{"ID":"a1","NetworkSettings":{"Networks":{"home":{"IPAMConfig":{"IPv4Address":"192.0.2.9"}}}}}`), 0o600))
	mustSucceed(t, os.WriteFile(filepath.Join(l.config, "berth.toml"), fmt.Appendf(nil, "[agent]\ndocker = %q\n", docker), 0o644))
	l.startAgent()
	f := l.makeForeign(7, "bridge")
	f.setUp()
	f.waitObserved()
	index := testnet.Link(t, l.host, parent).Attrs().Index
	observed := state.ForeignAddress{Addr: netip.MustParseAddr("192.0.2.7"), ParentIndex: index, Holder: "net1 of sleep"}
	dockers := state.ForeignAddress{Addr: netip.MustParseAddr("192.0.2.9"), Holder: "docker:home"}
	testnet.Eventually(t, "both addresses", func() bool { return slices.Equal(l.foreignAddresses(), []state.ForeignAddress{observed, dockers}) })
	f.runIP("link", "delete", "net1")
	testnet.Eventually(t, "docker's address alone", func() bool { return slices.Equal(l.foreignAddresses(), []state.ForeignAddress{dockers}) })
}

// foreignAddresses returns the addresses of the documentation's first network that berth does not
// give out.
func (l *lab) foreignAddresses() (all []state.ForeignAddress) {
	l.t.Helper()
	mustSucceed(l.t, l.store.View(l.t.Context(), func(tx *state.Tx) error {
		for f, err := range tx.ForeignAddresses(netip.IPv6Unspecified()) {
			mustSucceed(l.t, err)
			if netip.MustParsePrefix("192.0.2.0/24").Contains(f.Addr) {
				all = append(all, f)
			}
		}
		return nil
	}))
	return all
}

// TestObserveIsConfigured leaves parents out that `observe` does not name.
func TestObserveIsConfigured(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	for text, want := range map[string]bool{`["lan*"]`: false, `[]`: false, `["eth?"]`: true} {
		l := newLab(t)
		mustSucceed(t, os.MkdirAll(l.config, 0o755))
		mustSucceed(t, os.WriteFile(filepath.Join(l.config, "berth.toml"), []byte("[agent]\nobserve = "+text+"\n"), 0o644))
		f := l.makeForeign(1, "bridge")
		f.setUp()
		l.startAgent() // it scans once before it is ready
		if _, got := f.observed(); got != want {
			t.Errorf("observe = %s: observed %t, want %t", text, got, want)
		}
		if n := len(l.agentStatus().Parents); (n == 1) != want {
			t.Errorf("observe = %s: %d parents", text, n)
		}
	}
}

// TestParentsOfBerthsAreObserved has observe = []. The interfaces on a parent are observed all the same
// from a network of berth's, or an attachment, on it, so that none of their frames is a violation.
func TestParentsOfBerthsAreObserved(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	for name, begin := range map[string]func(*lab){
		"network":    func(l *lab) { l.writeNetwork("lan", lanFile) },
		"attachment": func(l *lab) { l.attachAs("inplace", 9, func(a *state.Attachment) { a.Network = "" }) },
	} {
		l := newLab(t)
		l.agentConfig("observe = []")
		testnet.Veth(t, "eth2", l.host, "wire2", l.lan)
		f, other := l.makeForeign(1, "bridge"), l.makeForeignOn("eth2", 2, "bridge")
		f.setUp()
		testnet.Up(t, other.ns, "net1")
		l.startAgent()
		if all, err := l.client.Endpoints(t.Context(), true); err != nil || len(all) != 0 {
			t.Errorf("%s: without a network, the agent has %+v, %v", name, all, err)
		}
		begin(l)
		f.waitObserved()
		web := l.attachContainer("web", 3)
		f.sendFrames(3)
		f.waitSent(3)
		testnet.Run(t, f.ns, "busybox", "arping", "-c", "2", "-w", "10", "-I", "net1", "192.0.2.3")
		web.sendFrames(2)
		web.waitSent(2)
		for e, err := range l.client.Events(t.Context(), client.Filter{}) {
			mustSucceed(t, err)
			t.Errorf("%s: event %+v", name, e)
		}
		if _, is := other.observed(); is {
			t.Errorf("%s: an interface on another parent is observed", name)
		}
	}
}

// TestObservedInNamedNamespace finds an interface in a namespace without a process.
func TestObservedInNamedNamespace(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.startAgent()
	name := filepath.Base(l.config[:len(l.config)-len("/config")])
	testnet.Run(t, l.host, "ip", "netns", "add", name)
	t.Cleanup(func() {
		path := "/run/netns/" + name
		mustSucceed(t, errors.Join(unix.Unmount(path, unix.MNT_DETACH), os.Remove(path)))
	})
	testnet.Run(t, l.host, "ip", "link", "add", "net1", "link", parent, "netns", name, "address", "02:00:5e:00:53:41", "type", "macvlan", "mode", "vepa")
	testnet.Run(t, l.host, "ip", "-n", name, "link", "set", "net1", "up")
	f := &foreign{container: container{lab: l, mac: specs.MAC{2, 0, 0x5e, 0, 0x53, 0x41}}}
	if e := f.waitObserved(); e.Name != name || e.ContainerID != "netns:"+name || e.Mode != specs.ModeVEPA {
		t.Errorf("endpoint %+v", e)
	}
}
