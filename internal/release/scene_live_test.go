package release

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"berth/bpf"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// scene is a container with a real link that is registered and counted.
type scene struct {
	store     *state.Store
	bpffs     string
	host      *network.Handle
	maps      *bpf.Maps
	container *testnet.NS
	home      *testnet.NS // the host's namespace
	trunk     string
	vlan      int // VLAN that berth made, or 0
	a         *state.Attachment
	counts    specs.Counters
}

func newScene(t *testing.T) *scene { return newLinkScene(t, testnet.Here(t), 0) }

// newVLANScene returns a scene on a VLAN that berth made.
func newVLANScene(t *testing.T) *scene { return newLinkScene(t, testnet.Here(t), 100) }

func newLinkScene(t *testing.T, home *testnet.NS, vlan int) *scene {
	t.Helper()
	testnet.Need(t, testnet.Macvlan)
	x := &scene{store: newStore(t), container: testnet.Namespace(t), home: home, trunk: testnet.Unique("par"), vlan: vlan}
	testnet.Veth(t, x.trunk, home, testnet.Unique("lan"), testnet.Namespace(t))
	var err error
	testnet.In(t, home, func() { x.host, err = network.NewHandle() })
	must(t, err)
	t.Cleanup(x.host.Close)
	x.pinMaps(t)
	parent, err := x.host.Parent(x.trunk)
	must(t, err)
	if vlan != 0 {
		parent, _, err = x.host.EnsureVLAN(x.trunk, vlan)
		must(t, err)
	}
	x.attach(t, parent)
	return x
}

// pinMaps loads the scene's own datapath; no agent runs afterwards.
func (x *scene) pinMaps(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/sys/fs/bpf", "release-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	x.bpffs = filepath.Join(dir, "berth")
	d, err := bpf.Load(x.bpffs, bpf.Options{MaxEndpoints: maxSlots})
	must(t, err)
	must(t, d.Close())
	x.maps, err = bpf.Open(x.bpffs)
	must(t, err)
	t.Cleanup(func() { must(t, x.maps.Close()) })
}

// attach does the steps of a hook.
func (x *scene) attach(t *testing.T, parent *network.Parent) {
	t.Helper()
	ns, err := network.OpenPath(x.container.Path())
	must(t, err)
	defer ns.Close()
	cookie, err := ns.Cookie()
	must(t, err)
	nsid, err := x.host.AssignNSID(ns)
	must(t, err)
	x.a = recordAttached(t, x.store, &state.Attachment{
		Cookie: cookie, NSID: nsid, Phase: specs.PhaseAttaching, Containers: []string{"c"},
		Parent: parent.Name, ParentIndex: parent.Index, TrunkIndex: parent.TrunkIndex, VLAN: parent.VLAN,
	})
	must(t, x.maps.Register(Endpoint(x.a)))
	info, err := x.host.CreateLink(ns, network.Link{
		Name: "net1", ParentIndex: parent.Index, Driver: x.a.Driver, Mode: x.a.Mode, MAC: x.a.MAC, Alias: x.a.Alias(), AltName: x.a.AltName(),
	})
	must(t, err)
	x.a.LinkIndex, x.a.Phase = info.Index, specs.PhaseAttached
	must(t, x.store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(x.a) }))
	x.writeCounts(t)
}

// writeCounts writes counts into the slot as a program does.
func (x *scene) writeCounts(t *testing.T) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join(x.bpffs, "v1", "counters"), nil)
	must(t, err)
	defer m.Close()
	cpus, err := ebpf.PossibleCPU()
	must(t, err)
	value := bytes.Repeat([]byte{7, 0, 0, 0, 0, 0, 0, 0}, int(m.ValueSize())/8)
	each := make([][]byte, cpus)
	for i := range each {
		each[i] = value
	}
	must(t, m.Put(x.a.Slot, each))
	x.counts, err = x.maps.Counters(x.a.Slot)
	must(t, err)
	if x.counts.Receive.Total().Packets == 0 {
		t.Fatal("nothing is counted")
	}
}

func (x *scene) releaser() *Releaser {
	return &Releaser{Store: x.store, Host: x.host, BPFFS: x.bpffs}
}

// checkGone checks that only the final counts of the scene remain.
func (x *scene) checkGone(t *testing.T) {
	t.Helper()
	// The ID of an ended namespace is soon reused, as by a parallel test.
	if l, err := x.host.LinkIn(x.a.NSID, "net1"); err != nil && !network.IsGone(err) || err == nil && isOurs(x.a, &l) {
		t.Errorf("the link: %+v, %v; want it gone", l, err)
	}
	if x.vlan != 0 {
		if p, err := x.host.Parent(fmt.Sprintf("%s.%d", x.trunk, x.vlan)); !errors.Is(err, network.ErrNoLink) {
			t.Errorf("the VLAN: %+v, %v; want it gone", p, err)
		}
	}
	checkNothingHeld(t, x.store)
	all := endedRecords(t, x.store)
	if len(all) != 1 || all[0].Final == nil || *all[0].Final != x.counts {
		t.Errorf("ended: %+v, want one with the counts %+v", all, x.counts)
	}
	if left, err := x.maps.Counters(x.a.Slot); err != nil || left != (specs.Counters{}) {
		t.Errorf("slot %d has %+v, %v; want it zeroed", x.a.Slot, left, err)
	}
	for _, name := range []string{"endpoints", "addresses", "namespaces"} {
		m, err := ebpf.LoadPinnedMap(filepath.Join(x.bpffs, "v1", name), nil)
		must(t, err)
		defer m.Close()
		if key, err := m.NextKeyBytes(nil); key != nil || err != nil {
			t.Errorf("map %s still has a key: %x, %v", name, key, err)
		}
	}
}
