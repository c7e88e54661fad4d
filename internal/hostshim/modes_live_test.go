package hostshim_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"berth/bpf"
	"berth/internal/config"
	"berth/internal/testnet"
)

func TestModesThatCannotWork(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.snapshot()
	for mode, want := range map[string]string{
		"mode = \"private\"":  `mode "private" keeps the host from its containers: a private interface reaches no other interface of its parent; use a network in mode bridge`,
		"mode = \"passthru\"": `mode "passthru" keeps the host from its containers`,
		"mode = \"source\"\nsource_macs = [\"02:00:5e:00:53:01\"]": `mode "source" keeps the host from its containers`,
		"mode = \"vepa\"": `mode "vepa" needs a switch that reflects, and a frame sent from parent "eth1" did not come back`,
	} {
		_, err := l.enable(l.network("lan", mode+"\n"+lanFile))
		if err == nil || !strings.HasPrefix(err.Error(), `host shim of "lan": `+want) {
			t.Errorf("%s: %v\nwant %s", mode, err, want)
		}
		l.requireUnchanged(mode, before)
	}
	testnet.Run(t, l.host, "ip", "link", "set", "eth1", "down")
	if _, err := l.enable(l.network("lan", lanFile)); err == nil || !strings.Contains(err.Error(), "ip link set eth1 up") {
		t.Errorf("parent down: %v", err)
	}
}

func TestVEPABehindASwitchThatReflects(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	testnet.Hairpin(t, l.wire, "port1")
	lan := l.network("lan", "mode = \"vepa\"\n"+lanFile)
	a := l.mustStart(l.box("a", "lan"))
	before := l.snapshot()
	l.mustEnable(lan)
	l.ping(a.ns, "192.0.2.65", true)
	l.ping(l.host, "192.0.2.64", true)
	l.mustDisable("lan")
	l.requireUnchanged("disable", before)
}

func TestWhatAParentCannotCarryBeside(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	l.network("whole", "mode = \"passthru\"\n"+lanFile)
	a := l.mustStart(l.box("a", "whole"))
	_, err := l.enable(lan)
	want := `parent "eth1": interface "net1" of container "a" (macvlan, mode passthru) is on it, and passthru takes a parent whole`
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v\nwant %s", err, want)
	}
	l.mustStop(a)
	l.mustEnable(lan)
	err = l.hook(a, "creating")
	want = `parent "eth1": the host shim of network "lan" (macvlan, mode bridge) is on it, and passthru takes a parent whole; disable it first: berth host disable lan`
	if err == nil || !strings.HasSuffix(err.Error(), strings.TrimPrefix(want, "parent")) {
		t.Errorf("error %v\nwant %s", err, want)
	}
}

// Containers start and stop while the shim is made: in the end there is a route
// to each running one.
func TestHooksBesideEnable(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", "conflict_timeout = \"0s\"\n"+lanFile)
	var old, fresh []*box
	for i := range 8 {
		old = append(old, l.mustStart(l.box(fmt.Sprintf("old%d", i), "lan")))
		fresh = append(fresh, l.box(fmt.Sprintf("new%d", i), "lan"))
	}
	var all sync.WaitGroup
	for i := range old {
		all.Go(func() { l.mustStop(old[i]) })
		all.Go(func() { l.mustStart(fresh[i]) })
	}
	all.Go(func() { l.mustEnable(lan) })
	all.Wait()
	if t.Failed() {
		return // there may be no shim at this moment
	}
	if got := l.list()[0].Routes; len(got) != len(fresh) {
		t.Errorf("routes %v, want %d", got, len(fresh))
	}
	settled := l.snapshot()
	if done := l.mustReconcile(); done.Added+done.Deleted != 0 {
		t.Errorf("something was missed: %+v", done)
	}
	l.requireUnchanged("reconcile", settled)
}

func TestAVLANIsUsed(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	l := newLab(t)
	lan := l.network("lan", strings.ReplaceAll(lanFile, "eth1", "eth1.100"))
	before := l.snapshot()
	l.mustEnable(lan)
	a := l.mustStart(l.box("a", "lan"))
	l.ping(l.host, "192.0.2.65", true)
	l.mustStop(a)
	testnet.Link(t, l.host, "eth1.100") // the host uses it
	l.mustStart(a)
	l.mustDisable("lan")
	testnet.Link(t, l.host, "eth1.100") // a uses it
	l.mustStop(a)
	l.requireUnchanged("stop", before)
	l.mustEnable(lan)
	l.mustDisable("lan")
	l.requireUnchanged("disable", before)
}

func TestIPvlan(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	for _, mode := range []string{"l2", "l3", "l3s"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			lan := l.network("lan", "driver = \"ipvlan\"\nmode = \""+mode+"\"\n"+lanFile)
			a := l.mustStart(l.box("a", "lan"))
			before := l.snapshot()
			l.mustEnable(lan)
			l.ping(l.host, "192.0.2.64", true)
			l.ping(a.ns, "192.0.2.65", true)
			l.mustDisable("lan")
			l.requireUnchanged("disable", before)
		})
	}
}

// The host's frames are no violation, and a container's frames to and from the
// host are counted.
func TestTheDatapathKnowsTheHost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.dirs = config.Dirs{Config: l.dirs.Config, State: l.dirs.State, BPFFS: "/sys/fs/bpf/" + testnet.Unique("shim")}
	lan := l.network("lan", lanFile)
	parent := testnet.Link(t, l.host, "eth1").Attrs()
	var d *bpf.Datapath
	var err error
	testnet.In(t, l.host, func() {
		if d, err = bpf.Load(l.dirs.BPFFS, bpf.Options{MaxEndpoints: 16, Attach: "auto"}); err == nil {
			err = d.Attach(parent.Index, [6]byte(parent.HardwareAddr))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Purge(); _ = d.Close() })
	a := l.mustStart(l.box("a", "lan"))
	l.mustEnable(lan)
	l.ping(l.host, "192.0.2.64", true)
	l.ping(a.ns, "192.0.2.65", true)
	l.ping(a.ns, "192.0.2.10", true)
	const slot = 1 // the first slot
	testnet.Eventually(t, "three pings and their answers are counted", func() bool {
		c, err := d.Maps().Counters(slot)
		return err == nil && c.Receive.Total().Packets >= 3 && c.Transmit.Total().Packets >= 3
	})
	if got, err := d.Maps().Violations(slot); err != nil || len(got) > 0 {
		t.Errorf("violations of a: %v, %v", got, err)
	}
	// The first event must be a real violation.
	forged := []byte{0x02, 0, 0x5e, 0, 0x53, 0x99}
	testnet.Run(t, a.ns, "ip", "link", "set", "net1", "address", net.HardwareAddr(forged).String())
	l.ping(a.ns, "192.0.2.1", true)
	events, err := d.Events()
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if e, err := events.Read(); err != nil || !bytes.Equal(e.Bytes[6:12], forged) {
		t.Errorf("first event %+v, %v", e, err)
	}
}
