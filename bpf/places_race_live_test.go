package bpf

import (
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// raceKey is a MAC that writers register, change or unregister while programs search it.
type raceKey struct {
	Endpoint
	other      uint32       // the slot that it changes to and back, or 0
	goes       bool         // whether it is unregistered at times
	state      atomic.Int64 // odd while it is registered; grows with every change, and is negative during one
	sure, sent atomic.Int64 // frames sent while it was surely registered, and all
}

// TestTableUnderPrograms registers, changes and unregisters MACs whose chains are the same,
// by two writers, while programs search them: each frame for a MAC that stays registered is
// counted once, in its old slot or its new one, and none is counted for another MAC.
func TestTableUnderPrograms(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	var keys []*raceKey
	for i, mac := range x.together(26, 3) {
		k := &raceKey{Endpoint: Endpoint{Slot: uint32(1 + i), ParentIndex: 1, MAC: mac, Driver: specs.Macvlan, Mode: specs.ModeBridge}}
		switch {
		case i%4 == 0:
		case i%4 == 1:
			k.other = uint32(100 + i)
		default:
			k.goes = true
		}
		must(t, x.maps.Register(k.Endpoint))
		k.state.Store(1)
		keys = append(keys, k)
	}
	if len(x.overflow()) == 0 {
		t.Error("no key in the overflow map: the chains are not full")
	}
	changes := 400
	if *long {
		changes = 10_000
	}
	var writers, readers sync.WaitGroup
	var done atomic.Bool
	for i := range 2 {
		writers.Go(func() { x.changeKeys(keys[i*13:(i+1)*13], changes) })
	}
	for _, cpu := range firstCPUs(t, 2) {
		readers.Go(func() { x.searchKeys(cpu, keys, &done) })
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	for _, k := range keys {
		x.countedOnce(k)
	}
	for _, k := range keys {
		if k.state.Load()%2 == 1 {
			must(t, x.maps.Unregister(k.Endpoint))
		}
	}
	if left := x.macs(); len(left) != 1 { // the host's
		t.Errorf("left: %v", left)
	}
}

// changeKeys is a writer, with maps of its own as another process has.
func (x *bench) changeKeys(keys []*raceKey, changes int) {
	m, err := Open(filepath.Dir(x.pins.dir))
	if err != nil {
		x.Error(err)
		return
	}
	defer m.Close()
	for range changes {
		k := keys[rand.IntN(len(keys))]
		state := k.state.Load()
		switch {
		case k.other != 0:
			k.Slot, k.other = k.other, k.Slot
			err = m.Register(k.Endpoint)
		case k.goes && state%2 == 1:
			k.state.Store(-state)
			err = m.Unregister(k.Endpoint)
			k.state.Store(state + 1)
		case k.goes:
			k.state.Store(-state)
			err = m.Register(k.Endpoint)
			k.state.Store(state + 1)
		}
		if err != nil {
			x.Error(err)
			return
		}
	}
}

// firstCPUs returns processors on which this process may run, at most n.
func firstCPUs(t testing.TB, n int) (all []int) {
	t.Helper()
	var set unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &set))
	for cpu := 0; len(all) < min(n, set.Count()); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all
}

// heldUp is a time for which a machine has held up a test run of some microseconds. Between
// its look-up and its count, an element of the map "endpoints" may then be in use for another key.
const heldUp = 2 * time.Millisecond

// searchKeys sends frames to the keys' MACs until done is set, all by one processor. It is the
// only one to do so there: unlike a frame, a test run can be interrupted by another one
// (net/bpf/test_run.c), and both then add to the same counter of the processor.
func (x *bench) searchKeys(cpu int, keys []*raceKey, done *atomic.Bool) {
	const frames = 100
	testnet.In(x, x.ns, func() {
		var all, one unix.CPUSet
		must(x, unix.SchedGetaffinity(0, &all))
		one.Set(cpu)
		must(x, unix.SchedSetaffinity(0, &one)) // of the thread
		defer func() { must(x, unix.SchedSetaffinity(0, &all)) }()
		for i := 0; !done.Load(); i++ {
			k := keys[i%len(keys)]
			before, began := k.state.Load(), time.Now()
			_, err := loadedProgram(x.ingress).Run(&ebpf.RunOptions{Data: ethernet(k.MAC, macLAN, 0x800, ip4(6, ipLAN, ipA, tcp(12, 20))), Repeat: frames})
			if err != nil {
				x.Error(err)
				return
			}
			if before > 0 && before%2 == 1 && k.state.Load() == before && time.Since(began) < heldUp {
				k.sure.Add(frames)
			}
			if before < 0 || before%2 == 1 || k.state.Load() != before {
				k.sent.Add(frames)
			}
		}
	})
}

// countedOnce compares the frames counted for a key with those sent to it.
func (x *bench) countedOnce(k *raceKey) {
	x.Helper()
	n := int64(x.counters(k.Slot).Receive.Total().Packets)
	if k.other != 0 {
		n += int64(x.counters(k.other).Receive.Total().Packets)
	}
	if n < k.sure.Load() || n > k.sent.Load() {
		x.Errorf("slot %d or %d, unregistered at times %v: %d frames counted, %d sent while it was registered, %d perhaps",
			k.Slot, k.other, k.goes, n, k.sure.Load(), k.sent.Load())
	}
}
