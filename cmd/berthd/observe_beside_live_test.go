package main

import (
	"fmt"
	"syscall"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestObservedBesideBerths gives a container of berth's another macvlan interface on the parent, as
// an engine does. The container sends by one with the address of the other, changes the MAC of the
// other, and deletes berth's interface while the agent does not run: nothing is a violation.
func TestObservedBesideBerths(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	other := &foreign{container: container{lab: l, ns: web.ns, mac: specs.MAC{2, 0, 0x5e, 0, 0x53, 0x31}}}
	process := testnet.Process(t, web.ns)
	testnet.Run(t, l.host, "ip", "link", "add", "eth0", "link", parent, "netns", fmt.Sprint(process.Pid),
		"address", other.mac.String(), "type", "macvlan", "mode", "bridge")
	testnet.Address(t, web.ns, "eth0", "192.0.2.31/24")
	testnet.Up(t, web.ns, "eth0")
	other.waitObserved()
	quiet := func(what string) {
		t.Helper()
		all, err := l.client.Endpoints(t.Context(), true)
		mustSucceed(t, err)
		for _, e := range all {
			if len(e.Violations) != 0 {
				t.Errorf("%s: %s of %q has %v", what, e.Interface, e.ContainerID, e.Violations)
			}
		}
	}
	announce := func(by, address string) {
		t.Helper()
		testnet.Run(t, web.ns, "busybox", "arping", "-c", "2", "-U", "-I", by, "-s", address, address)
	}
	announce("net1", "192.0.2.31")
	announce("eth0", "192.0.2.1")
	quiet("the address of the other interface")
	web.runIP("link", "set", "eth0", "address", "02:00:5e:00:53:32")
	announce("eth0", "192.0.2.31")
	quiet("another MAC")
	other.mac = specs.MAC{2, 0, 0x5e, 0, 0x53, 0x32}
	other.waitObserved()
	a.stopAgent(syscall.SIGTERM)
	web.runIP("link", "delete", "net1")
	lanMAC := testnet.Link(t, l.lan, "wire").Attrs().HardwareAddr.String()
	web.runIP("neigh", "replace", lanAddr, "lladdr", lanMAC, "dev", "eth0")
	web.sendFrames(3)
	announce("eth0", "192.0.2.31")
	l.startAgent()
	quiet("without berth's interface")
	if e := other.waitObserved(); e.Counters.Transmit.Total().Packets < 3 {
		t.Errorf("the other interface sent %+v, want its frames", e.Counters.Transmit)
	}
}
