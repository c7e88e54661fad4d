package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// TestObservedChangesAreFollowed changes the name, MAC, mode and addresses of an observed
// interface: its counts stay, and go on under the new MAC.
func TestObservedChangesAreFollowed(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.startAgent()
	f := l.makeForeign(1, "bridge")
	f.setUp()
	f.waitObserved()
	f.sendFrames(2)
	f.mac = specs.MAC{2, 0, 0x5e, 0, 0x53, 0x31}
	f.runIP("link", "set", "net1", "address", f.mac.String())
	f.waitObserved()
	f.sendFrames(3)
	f.runIP("link", "set", "net1", "type", "macvlan", "mode", "private")
	f.runIP("addr", "add", "192.0.2.77/24", "dev", "net1")
	testnet.Eventually(t, "mode and address", func() bool {
		e, _ := f.observed()
		return e.Mode == specs.ModePrivate && len(e.Addresses) == 2
	})
	f.waitSent(5)
	f.runIP("link", "set", "net1", "down")
	f.runIP("link", "set", "net1", "name", "lan0")
	testnet.Eventually(t, "the new name", func() bool {
		e, _ := f.observed()
		return e.Interface == "lan0"
	})
}

// TestObservedDuplicateAddress gives an observed interface a container's address: it is named
// as the sender of duplicate-ip, once, and nothing is counted for the container.
func TestObservedDuplicateAddress(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachContainer("web", 1)
	f := l.makeForeign(2, "bridge")
	f.setUp()
	f.waitObserved()
	f.runIP("addr", "add", "192.0.2.1/24", "dev", "net1")
	e := l.waitEvents(f.id, specs.DuplicateIP, 1)[0]
	if e.Sender == nil || e.Sender.ContainerID != f.id || e.Sender.Name != "sleep" || e.Sender.Origin != specs.OriginObserved ||
		e.Owner == nil || e.Owner.ContainerID != "web" || e.Owner.Origin != specs.OriginBerth ||
		e.Certainty != specs.Certain || e.Evidence != specs.ByNetlink || e.Parent != parent {
		t.Errorf("event %+v", e)
	}
	f.runIP("link", "set", "net1", "mtu", "1400") // another change
	web.sendFrames(2)
	web.waitSent(2)
	l.waitEvents(f.id, specs.DuplicateIP, 1)
	if found := l.endpointOf("web").Violations; len(found) != 0 {
		t.Errorf("violations of the container: %v", found)
	}
}

// heardWithin repeats an attempt until one takes less time than the agent may need without a
// notification. On a loaded machine some take longer.
func heardWithin(t *testing.T, what string, attempt func(n byte) (took time.Duration)) {
	t.Helper()
	n := byte(0)
	testnet.Eventually(t, what+", before the agent reads everything again", func() bool {
		n++
		return attempt(n) < resyncInterval/2
	})
}

// TestObservedNamespaceEnds ends the namespace of an observed interface: the interface is
// ended soon, though no link is reported as deleted.
func TestObservedNamespaceEnds(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.startAgent()
	name := "ends" + filepath.Base(filepath.Dir(l.config))
	heardWithin(t, "the end of a namespace", func(n byte) time.Duration {
		f := &foreign{container: container{lab: l, mac: specs.MAC{2, 0, 0x5e, 0, 0x53, n}}}
		testnet.Run(t, l.host, "ip", "netns", "add", name)
		testnet.Run(t, l.host, "ip", "link", "add", "net1", "link", parent, "netns", name, "address", f.mac.String(), "type", "macvlan", "mode", "vepa")
		testnet.Run(t, l.host, "ip", "-n", name, "link", "set", "net1", "up")
		f.waitObserved()
		testnet.Run(t, l.host, "ip", "netns", "delete", name)
		since := time.Now()
		testnet.Eventually(t, "the end", func() bool {
			e, _ := f.observed()
			return e.Phase == specs.PhaseEnded
		})
		return time.Since(since)
	})
}

// TestObservedAfterAnotherInterface has another interface of the same name in place of an
// observed one while the agent is stopped: each has its own counts.
func TestObservedAfterAnotherInterface(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	a := l.startAgent()
	f := l.makeForeign(1, "bridge")
	f.setUp()
	index := testnet.Link(t, f.ns, "net1").Attrs().Index
	f.waitObserved()
	f.sendFrames(3)
	f.waitSent(3)
	a.stopAgent(syscall.SIGTERM)
	f.runIP("link", "delete", "net1")
	other := &foreign{container: f.container, process: f.process}
	other.mac = specs.MAC{2, 0, 0x5e, 0, 0x53, 2}
	testnet.Run(t, l.host, "ip", "link", "add", "net1", "link", parent, "index", fmt.Sprint(index), "netns", fmt.Sprint(f.process.Pid),
		"address", other.mac.String(), "type", "macvlan", "mode", "bridge")
	testnet.Address(t, f.ns, "net1", "192.0.2.1/24")
	other.setUp()
	l.startAgent()
	other.waitObserved()
	other.sendFrames(2)
	for _, c := range []struct {
		f     *foreign
		phase specs.Phase
		sent  uint64
	}{{f, specs.PhaseEnded, 3}, {other, specs.PhaseAttached, 2}} {
		if e, _ := c.f.observed(); e.Phase != c.phase || e.Counters.Transmit.External.Unicast.Packets != c.sent {
			t.Errorf("interface with MAC %s: %+v, want %s with %d frames", c.f.mac, e, c.phase, c.sent)
		}
	}
}

// resyncInterval is that of the agent, which reads everything again then.
const resyncInterval = 30 * time.Second

// TestObservedTakesAFreedAddress gives two observed interfaces one address, as a container that
// is restarted has its old address while the old interface still exists. As soon as the first
// loses the address or is deleted, the second's ARP is no ip-spoof.
func TestObservedTakesAFreedAddress(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	for name, free := range map[string]string{
		"deleted":         "link delete net1",
		"address removed": "addr del SHARED dev net1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.startAgent()
			heardWithin(t, "ARP that is no ip-spoof", func(n byte) time.Duration {
				first, second := l.makeForeign(2*n-1, "bridge"), l.makeForeign(2*n, "bridge")
				shared := fmt.Sprintf("192.0.2.%d/24", 2*n-1)
				first.setUp()
				first.waitObserved()
				second.runIP("addr", "del", fmt.Sprintf("192.0.2.%d/24", 2*n), "dev", "net1")
				second.runIP("addr", "add", shared, "dev", "net1")
				second.setUp()
				second.waitObserved()
				first.runIP(strings.Fields(strings.ReplaceAll(free, "SHARED", shared))...)
				since := time.Now()
				testnet.Eventually(t, "ARP that is no ip-spoof", func() bool {
					before := second.spoofs()
					second.runIP("neigh", "del", lanAddr, "dev", "net1")
					second.sendFrames(1)
					return second.spoofs() == before
				})
				return time.Since(since)
			})
		})
	}
}

// spoofs returns the number of ip-spoof violations of an observed interface.
func (f *foreign) spoofs() uint64 {
	f.t.Helper()
	e, _ := f.observed()
	return e.Violations[specs.IPSpoof]
}
