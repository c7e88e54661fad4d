package hostshim_test

import (
	"strings"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

func TestTheHostReachesItsContainers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	a, b := l.mustStart(l.box("a", "lan")), l.mustStart(l.box("b", "lan"))
	l.ping(l.lan, "192.0.2.10", true)
	neighbour := testnet.Run(t, l.lan, "ip", "neigh", "show", "192.0.2.10")
	mac := strings.Fields(neighbour)[4]
	before := l.snapshot()
	l.ping(l.host, "192.0.2.64", false)
	l.ping(a.ns, "192.0.2.10", false)

	shim := l.mustEnable(lan)
	if shim.Interface != "berth-lan" || shim.State != specs.HostEnabled || shim.Addresses[0].String() != "192.0.2.66/24" ||
		addrsText(shim.Routes) != "192.0.2.64 192.0.2.65" {
		t.Errorf("shim %+v", shim)
	}
	for _, c := range []*box{a, b} {
		l.ping(c.ns, "192.0.2.66", true)
		l.ping(c.ns, "192.0.2.10", true) // the host's other addresses too
	}
	l.ping(l.host, "192.0.2.64", true)
	l.ping(l.host, "192.0.2.65", true)

	c := l.mustStart(l.box("c", "lan"))
	if got := l.routes("berth-lan"); got != "192.0.2.64 192.0.2.65 192.0.2.67" {
		t.Errorf("routes with c: %s", got)
	}
	l.ping(l.host, "192.0.2.67", true)
	l.ping(c.ns, "192.0.2.66", true)
	l.mustStop(c)
	if got := l.routes("berth-lan"); got != "192.0.2.64 192.0.2.65" {
		t.Errorf("routes without c: %s", got)
	}
	l.otherMachine(mac)

	if gone := l.mustDisable("lan"); gone == nil || gone.MAC != shim.MAC {
		t.Errorf("disabled %+v", gone)
	}
	l.requireUnchanged("disable", before)
	l.ping(l.host, "192.0.2.64", false)
	l.ping(l.lan, "192.0.2.64", true)
}

// otherMachine checks that another machine of the LAN is not affected by the
// shim, and that the host's route to it has not changed.
func (l *lab) otherMachine(mac string) {
	l.Helper()
	l.ping(l.lan, "192.0.2.64", true)
	l.ping(l.lan, "192.0.2.10", true)
	l.ping(l.lan, "192.0.2.66", true) // through eth1: the host is one machine
	l.ping(l.host, "192.0.2.1", true)
	testnet.Run(l.T, l.lan, "ip", "neigh", "flush", "dev", "eth0")
	l.ping(l.lan, "192.0.2.10", true)
	if got := testnet.Run(l.T, l.lan, "ip", "neigh", "show", "192.0.2.10"); !strings.Contains(got, mac) {
		l.Errorf("the host's MAC for the LAN has become %s, want %s", got, mac)
	}
	if got := testnet.Run(l.T, l.host, "ip", "route", "get", "192.0.2.1"); !strings.Contains(got, "dev eth1 src 192.0.2.10") {
		l.Errorf("the host's way to the LAN: %s", got)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile+"[[subnet]]\nsubnet = \"2001:db8::/64\"\nip_range = \"2001:db8::1000/116\"\n")
	a := l.mustStart(l.box("a", "lan"))
	before := l.snapshot()
	l.ping(l.host, "2001:db8::1000", false)
	shim := l.mustEnable(lan, "2001:db8::2000")
	if len(shim.Addresses) != 2 || addrsText(shim.Routes) != "192.0.2.64 2001:db8::1000" {
		t.Errorf("shim %+v", shim)
	}
	l.ping(l.host, "2001:db8::1000", true)
	l.ping(a.ns, "2001:db8::2000", true)
	l.ping(l.lan, "2001:db8::10", true)
	l.mustDisable("lan")
	l.requireUnchanged("disable", before)
}

func TestRepeatedEnableChangesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	l.mustStart(l.box("a", "lan"))
	before := l.snapshot()
	if gone := l.mustDisable("lan"); gone != nil {
		t.Errorf("disabled what there is not: %+v", gone)
	}
	l.requireUnchanged("disable of nothing", before)
	first := l.mustEnable(lan, "192.0.2.200")
	enabled := l.snapshot()
	if again := l.mustEnable(lan); again.MAC != first.MAC {
		t.Errorf("made again: %+v, before %+v", again, first)
	}
	l.mustEnable(lan, "192.0.2.200")
	l.requireUnchanged("enable again", enabled)
	for _, c := range []struct{ file, ip, want string }{
		{lanFile, "192.0.2.201", `host shim of "lan": interface "berth-lan" exists already with [192.0.2.200/24], not with 192.0.2.201; to change that: berth host disable lan`},
		{"mode = \"private\"\n" + lanFile, "", `host shim of "lan": the network is now macvlan private on eth1, and interface "berth-lan" was made for`},
		{strings.ReplaceAll(lanFile, "192.0.2.", "198.51.100."), "", `host shim of "lan": the network's subnets no longer contain 192.0.2.200/24 of interface "berth-lan"; remake it: berth host disable lan`},
	} {
		var ips []string
		if c.ip != "" {
			ips = append(ips, c.ip)
		}
		if _, err := l.enable(l.network("lan", c.file), ips...); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v\nwant %s", err, c.want)
		}
	}
	l.requireUnchanged("refused", enabled)
	l.mustDisable("lan")
	l.requireUnchanged("disable", before)
}

func TestWhatSomebodyChangedIsMended(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	a := l.mustStart(l.box("a", "lan"))
	before := l.snapshot()
	l.mustEnable(lan)
	enabled := l.snapshot()

	testnet.Run(t, l.host, "ip", "link", "set", "berth-lan", "down")
	if got := l.list(); len(got) != 1 || got[0].State != specs.HostBroken {
		t.Errorf("while it is down: %+v", got)
	}
	if done := l.mustReconcile(); done.Added+done.Deleted+len(done.Removed) != 0 {
		t.Errorf("set up what somebody set down: %+v", done)
	}
	l.mustEnable(lan)
	l.requireUnchanged("enabled again", enabled)

	testnet.Run(t, l.host, "ip", "link", "set", "berth-lan", "down")
	testnet.Run(t, l.host, "ip", "link", "set", "berth-lan", "name", "mine", "up")
	l.mustEnable(lan)
	l.ping(l.host, "192.0.2.64", true)

	testnet.Run(t, l.host, "ip", "link", "del", "mine")
	l.mustStop(a) // without an interface for the routes
	l.mustStart(a)
	if got := l.list(); len(got) != 1 || got[0].State != specs.HostBroken {
		t.Errorf("while it is gone: %+v", got)
	}
	l.mustEnable(lan)
	l.ping(l.host, "192.0.2.64", true)
	testnet.Run(t, l.host, "ip", "link", "del", "berth-lan")
	if done := l.mustReconcile(); len(done.Removed) != 1 {
		t.Errorf("reconciled %+v", done)
	}
	l.requireUnchanged("given up", before)
}

func TestReconcileSetsTheRoutes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	l.mustStart(l.box("a", "lan"))
	l.mustEnable(lan)
	want := l.snapshot()
	testnet.Run(t, l.host, "ip", "route", "del", "192.0.2.64")
	testnet.Run(t, l.host, "ip", "route", "add", "192.0.2.99", "dev", "berth-lan", "proto", "98")
	testnet.Run(t, l.host, "ip", "route", "add", "198.51.100.7", "dev", "berth-lan")
	if done := l.mustReconcile(); done.Added != 1 || done.Deleted != 1 {
		t.Errorf("reconciled %+v", done)
	}
	testnet.Run(t, l.host, "ip", "route", "del", "198.51.100.7", "dev", "berth-lan") // another program's route
	l.requireUnchanged("reconcile", want)
}

func TestAddressesInUseOnTheLAN(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	for _, p := range []string{"192.0.2.64/24", "192.0.2.65/24", "192.0.2.200/24"} {
		testnet.Address(t, l.lan, "eth0", p)
	}
	before := l.snapshot()
	mac := testnet.Link(t, l.lan, "eth0").Attrs().HardwareAddr.String()
	want := `host shim of "lan": --ip: the address is in use on the LAN: 192.0.2.200 belongs to ` + mac + "; request another, or remove it from that machine"
	if _, err := l.enable(lan, "192.0.2.200"); err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
	l.requireUnchanged("refused", before)
	if shim := l.mustEnable(lan); shim.Addresses[0].String() != "192.0.2.66/24" {
		t.Errorf("shim %+v", shim)
	}
	l.mustDisable("lan")
	l.requireUnchanged("disable", before)
}

func TestTheAddressIsNoContainers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", strings.ReplaceAll(lanFile, "192.0.2.64/26", "192.0.2.64/31"))
	l.mustEnable(lan)
	l.mustStart(l.box("a", "lan"))
	err := l.hook(l.box("b", "lan"), "creating")
	if want := `network "lan": the only address of 192.0.2.64/31 is held, by a (192.0.2.65)`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v\nwant %s", err, want)
	}
	other := l.network("other", strings.ReplaceAll(lanFile, "192.0.2.64/26", "192.0.2.65/32"))
	_, err = l.enable(other)
	if want := `host shim of "other": network "other": the only address of 192.0.2.65/32 is held, by a (192.0.2.65, network "lan")`; err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
}

func TestNoContainerIsShown(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.mustEnable(l.network("lan", lanFile))
	err := l.store.View(t.Context(), func(tx *state.Tx) error {
		for a := range tx.Attachments() {
			t.Errorf("attachment %+v", a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamesThatAreTaken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	testnet.Run(t, l.host, "ip", "link", "add", "berth-lan", "type", "veth", "peer", "name", "other")
	before := l.snapshot()
	shim := l.mustEnable(lan)
	if shim.Interface == "berth-lan" || !strings.HasPrefix(shim.Interface, "berth-") {
		t.Errorf("interface %q", shim.Interface)
	}
	long := l.mustEnable(l.network("a-network-with-a-long-name", lanFile))
	if len(long.Interface) != 15 || long.Interface == shim.Interface || long.Addresses[0] == shim.Addresses[0] {
		t.Errorf("shim %+v beside %+v", long, shim)
	}
	l.mustDisable("lan")
	l.mustDisable("a-network-with-a-long-name")
	l.requireUnchanged("disable", before)
}

func TestAnotherRouteIsInTheWay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	l.mustStart(l.box("a", "lan"))
	testnet.Run(t, l.host, "ip", "route", "add", "192.0.2.64", "dev", "eth1")
	before := l.snapshot()
	_, err := l.enable(lan)
	if want := `192.0.2.64 is on network "lan", but the host has another route to it: ip route show 192.0.2.64`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v\nwant %s", err, want)
	}
	l.requireUnchanged("refused", before)
}

// Two networks that name one parent differently share its addresses.
func TestParentByAnAlternativeName(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	testnet.Run(t, l.host, "ip", "link", "property", "add", "dev", "eth1", "altname", "lan.100")
	l.network("plain", lanFile)
	a := l.mustStart(l.box("a", "plain"))
	shim := l.mustEnable(l.network("dot", strings.Replace(lanFile, "eth1", "lan.100", 1)))
	if shim.Parent != "eth1" || shim.VLAN != 0 || shim.Addresses[0].String() != "192.0.2.65/24" {
		t.Errorf("shim on %q, VLAN %d, with %s; want eth1, none, 192.0.2.65/24", shim.Parent, shim.VLAN, shim.Addresses)
	}
	l.mustDisable("dot")
	l.mustStop(a)
}
