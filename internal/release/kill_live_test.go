package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"berth/bpf"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// Environment variables that make this test binary a process that releases
// the container "c" and is killed half-way.
const (
	killAt    = "BERTH_TEST_KILL_AT" // before call N/2 to the kernel (even) or after it (odd)
	killDir   = "BERTH_TEST_KILL_STATE"
	killBPFFS = "BERTH_TEST_KILL_BPFFS"
)

// dieHalfway releases and drains, and says how many calls it made if it lives.
func dieHalfway() string {
	at, err := strconv.Atoi(os.Getenv(killAt))
	if err != nil {
		return err.Error()
	}
	host, err := network.NewHandle()
	if err != nil {
		return err.Error()
	}
	m, err := bpf.Open(os.Getenv(killBPFFS))
	if err != nil {
		return err.Error()
	}
	k := &killer{Links: host, counting: m, at: at}
	r := &Releaser{Store: state.Open(os.Getenv(killDir)), Host: k, openMaps: func() (counting, error) { return k, nil }}
	err = errors.Join(r.Container(context.Background(), "c"), r.drainToEnd(context.Background()))
	return fmt.Sprintf("%d calls, error %v", k.calls, err)
}

// killer kills its own process about a call to the kernel.
type killer struct {
	Links
	counting
	calls, at int
}

// around calls what it is to call, unless the process dies first.
func (k *killer) around(call func()) {
	k.calls++
	if k.at == 2*k.calls {
		die()
	}
	call()
	if k.at == 2*k.calls+1 {
		die()
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	_ = syscall.Pause()
}

func (k *killer) LinkIn(nsid int, name string) (l network.LinkInfo, err error) {
	k.around(func() { l, err = k.Links.LinkIn(nsid, name) })
	return l, err
}

func (k *killer) DeleteIn(nsid, index int) (err error) {
	k.around(func() { err = k.Links.DeleteIn(nsid, index) })
	return err
}

func (k *killer) Unregister(e bpf.Endpoint) (err error) {
	k.around(func() { err = k.counting.Unregister(e) })
	return err
}

func (k *killer) Counters(slot uint32) (c specs.Counters, err error) {
	k.around(func() { c, err = k.counting.Counters(slot) })
	return c, err
}

func (k *killer) Violations(slot uint32) (v map[specs.Kind]specs.Broken, err error) {
	k.around(func() { v, err = k.counting.Violations(slot) })
	return v, err
}

func (k *killer) Zero(slot uint32) (err error) {
	k.around(func() { err = k.counting.Zero(slot) })
	return err
}

func (k *killer) Close() error { return nil } // the maps are used again

// scene is a container with a real link, registered and counted.
type scene struct {
	store     *state.Store
	bpffs     string
	host      *network.Handle
	maps      *bpf.Maps
	container *testnet.NS
	a         *state.Attachment
	counts    specs.Counters
}

func newScene(t *testing.T) *scene {
	t.Helper()
	testnet.Need(t, testnet.Macvlan)
	x := &scene{store: newStore(t), container: testnet.Namespace(t)}
	here := testnet.Here(t)
	parent := testnet.Unique("par")
	testnet.Veth(t, parent, here, testnet.Unique("lan"), testnet.Namespace(t))
	var err error
	x.host, err = network.NewHandle()
	must(t, err)
	t.Cleanup(x.host.Close)
	x.pinMaps(t)
	x.attach(t, testnet.Link(t, here, parent).Attrs().Index)
	return x
}

// pinMaps loads a datapath of the scene's own; no agent stays.
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

// attach does what a hook does.
func (x *scene) attach(t *testing.T, parentIndex int) {
	t.Helper()
	ns, err := network.OpenPath(x.container.Path())
	must(t, err)
	defer ns.Close()
	cookie, err := ns.Cookie()
	must(t, err)
	nsid, err := x.host.AssignNSID(ns)
	must(t, err)
	x.a = record(t, x.store, &state.Attachment{
		Cookie: cookie, NSID: nsid, Phase: specs.PhaseAttaching, ParentIndex: parentIndex, Containers: []string{"c"},
	})
	must(t, x.maps.Register(Endpoint(x.a)))
	info, err := x.host.CreateLink(ns, network.Link{
		Name: "net1", ParentIndex: parentIndex, Driver: x.a.Driver, Mode: x.a.Mode, MAC: x.a.MAC, Alias: x.a.Alias(),
	})
	must(t, err)
	x.a.LinkIndex, x.a.Phase = info.Index, specs.PhaseAttached
	must(t, x.store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(x.a) }))
	x.count(t)
}

// count writes counts into the slot as a program would.
func (x *scene) count(t *testing.T) {
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

// checkGone holds the scene to having nothing left but the final counts.
func (x *scene) checkGone(t *testing.T) {
	t.Helper()
	// The id of a dead namespace is soon that of another, as of a test beside.
	if l, err := x.host.LinkIn(x.a.NSID, "net1"); !isGone(err) || err == nil && isOurs(x.a, &l) {
		t.Errorf("the link: %+v, %v; want it gone", l, err)
	}
	checkNothingHeld(t, x.store)
	all := ended(t, x.store)
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

// TestKilledAtEveryStep kills a process that releases a container before and
// after each of its calls to the kernel. Then one Collect finds all that is
// left, and no count is lost.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	const calls = 6 // look, delete, unregister, counters, violations, zero
	for at := 2; at <= 2*calls+2; at++ {
		t.Run(fmt.Sprintf("%d", at), func(t *testing.T) {
			t.Parallel()
			x := newScene(t)
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			cmd.Env = append(os.Environ(), killAt+"="+strconv.Itoa(at),
				killDir+"="+filepath.Dir(x.store.Dir()), killBPFFS+"="+x.bpffs)
			out, err := cmd.CombinedOutput()
			var died *exec.ExitError
			switch killed := errors.As(err, &died) && died.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; {
			case at <= 2*calls+1 && !killed:
				t.Fatalf("%v, %q; want it killed", err, out)
			case at > 2*calls+1 && !strings.HasPrefix(string(out), fmt.Sprintf("%d calls, error <nil>", calls)):
				t.Fatalf("%v, %q; want it to live and make %d calls", err, out, calls)
			}
			_, err = x.releaser().Collect(t.Context(), 0)
			must(t, err)
			x.checkGone(t)
		})
	}
}
