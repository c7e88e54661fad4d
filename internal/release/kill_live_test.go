package release

import (
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

	"berth/bpf"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// Environment variables that make this test binary a process that releases the
// container "c" and kills itself half-way.
const (
	killAt    = "BERTH_TEST_KILL_AT" // before call N/2 to the kernel (even) or after it (odd)
	killDir   = "BERTH_TEST_KILL_STATE"
	killBPFFS = "BERTH_TEST_KILL_BPFFS"
	killStop  = "BERTH_TEST_KILL_STOP" // if set, by Stop instead of Container
)

// dieHalfway releases and drains, and returns the number of its calls if it survives.
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
	k := &killer{Links: host, countMaps: m, at: at}
	r := &Releaser{Store: state.Open(os.Getenv(killDir)), Host: k, openMaps: func() (countMaps, error) { return k, nil }}
	if os.Getenv(killStop) != "" {
		_, stopErr, collectErr := r.Stop(context.Background(), "c", 0)
		err = errors.Join(stopErr, collectErr)
	} else {
		err = r.Container(context.Background(), "c")
	}
	err = errors.Join(err, r.drainToEnd(context.Background()))
	return fmt.Sprintf("%d calls, error %v", k.calls, err)
}

// killer kills its own process before or after a call to the kernel.
type killer struct {
	Links
	countMaps
	calls, at int
}

// killAround calls call, unless the process is killed first.
func (k *killer) killAround(call func()) {
	k.calls++
	if k.at == 2*k.calls {
		testnet.KillSelf()
	}
	call()
	if k.at == 2*k.calls+1 {
		testnet.KillSelf()
	}
}

func (k *killer) LinkIn(nsid int, name string) (l network.LinkInfo, err error) {
	k.killAround(func() { l, err = k.Links.LinkIn(nsid, name) })
	return l, err
}

func (k *killer) HoldsMAC(parentIndex int, mac specs.MAC) (is bool, err error) {
	k.killAround(func() { is, err = k.Links.HoldsMAC(parentIndex, mac) })
	return is, err
}

func (k *killer) DeleteIn(nsid int, name string) (err error) {
	k.killAround(func() { err = k.Links.DeleteIn(nsid, name) })
	return err
}

func (k *killer) Parent(name string) (p *network.Parent, err error) {
	k.killAround(func() { p, err = k.Links.Parent(name) })
	return p, err
}

func (k *killer) Occupants(parentIndex int) (all []network.Occupant, err error) {
	k.killAround(func() { all, err = k.Links.Occupants(parentIndex) })
	return all, err
}

func (k *killer) DeleteLink(index int) (err error) {
	k.killAround(func() { err = k.Links.DeleteLink(index) })
	return err
}

func (k *killer) Unregister(e bpf.Endpoint) (err error) {
	k.killAround(func() { err = k.countMaps.Unregister(e) })
	return err
}

func (k *killer) UnregisterNamespace(e bpf.Endpoint) (err error) {
	k.killAround(func() { err = k.countMaps.UnregisterNamespace(e) })
	return err
}

func (k *killer) Counters(slot uint32) (c specs.Counters, err error) {
	k.killAround(func() { c, err = k.countMaps.Counters(slot) })
	return c, err
}

func (k *killer) Violations(slot uint32) (v map[specs.Kind]specs.Broken, err error) {
	k.killAround(func() { v, err = k.countMaps.Violations(slot) })
	return v, err
}

func (k *killer) Zero(slot uint32) (err error) {
	k.killAround(func() { err = k.countMaps.Zero(slot) })
	return err
}

func (k *killer) Close() error { return nil } // the maps are used again

// TestKilledAtEveryStep kills a process that releases a container, before and after
// each of its calls to the kernel. Then one Collect finds everything left behind, and
// no count is lost.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	const calls = 7 // find, unregister the namespace, delete, unregister, counters, violations, zero
	killedAtEach(t, newScene, 1, calls, calls)
}

// TestKilledAtEveryVLANStep does the same for the one additional call that changes
// something.
func TestKilledAtEveryVLANStep(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	const deletes, calls = 6, 10 // after find, unregister the namespace, delete, parent and occupants
	killedAtEach(t, newVLANScene, deletes, deletes, calls)
}

// TestKilledAtEveryStepOfStop does the same for the end of a container whose namespace has ended.
func TestKilledAtEveryStepOfStop(t *testing.T) {
	t.Parallel()
	const calls = 6 // find, the parent's MACs, unregister, counters, violations, zero
	killedAtEach(t, newDeadScene, 1, calls, calls, killStop+"=1")
}

// newDeadScene returns a scene whose namespace has ended.
func newDeadScene(t *testing.T) *scene {
	x := newLinkScene(t, testnet.Namespace(t), 0) // no other test uses the IDs of this namespace
	must(t, x.container.Close())
	testnet.Eventually(t, "the namespace is dead", func() bool {
		_, err := x.host.LinkIn(x.a.NSID, "net1")
		up, macErr := x.host.HoldsMAC(x.a.ParentIndex, x.a.MAC)
		must(t, macErr)
		return errors.Is(err, network.ErrNoNamespace) && !up
	})
	return x
}

// killedAtEach kills before and after each call from the first to the last of those
// that a release makes, and finally not at all. A short run, as in an emulated machine, takes
// each third of these kills if there are calls between the two: every whole run has all of them.
func killedAtEach(t *testing.T, build func(*testing.T) *scene, first, last, calls int, env ...string) {
	points := []int{2*calls + 2}
	for at := 2 * first; at <= 2*last+1; at++ {
		points = append(points, at)
	}
	for i, at := range points {
		if testing.Short() && first < last && i%3 != 0 {
			continue
		}
		t.Run(fmt.Sprintf("%d", at), func(t *testing.T) {
			t.Parallel()
			x := build(t)
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			cmd.Env = append(os.Environ(), killAt+"="+strconv.Itoa(at),
				killDir+"="+filepath.Dir(x.store.Dir()), killBPFFS+"="+x.bpffs)
			cmd.Env = append(cmd.Env, env...)
			var out []byte
			var err error
			testnet.In(t, x.home, func() { out, err = cmd.CombinedOutput() })
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
