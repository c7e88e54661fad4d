package bpf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// TestMoreEndpoints checks that a larger number of endpoints takes over counts, registrations and
// attachments, and that a smaller one keeps all.
func TestMoreEndpoints(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind, MaxEndpoints: 10})
		c := l.container(specs.ModeBridge)
		l.requireCounting(c, "at first")
		must(t, l.maps.putElement(mapViolations, c.Slot, violations{Of: [numKinds]violation{{Packets: 7, Dropped: 2}}}))
		dir := filepath.Dir(l.pins.dir)
		for i, endpoints := range []uint32{20, 2000, 5} {
			must(t, l.Close())
			l.Datapath = mustLoad(t, l.ns, dir, Options{Attach: kind, MaxEndpoints: endpoints})
			if slots, want := l.maps.Slots(), []uint32{21, 2001, 2001}[i]; slots != want {
				t.Errorf("%d slots, want %d", slots, want)
			}
			if got := l.attached(); got != kind {
				t.Errorf("attached by %q", got)
			}
			l.requireCounting(c, "with other maps")
			if got := l.violations(c.Slot); got != 7 {
				t.Errorf("%d violations, want 7", got)
			}
		}
		if got := l.counters(c.Slot).Transmit.Total(); got != countOf(4, 4*udpBytes(100)) {
			t.Errorf("in all %+v", got)
		}
		all, err := l.maps.AllCounters(1 << 20)
		must(t, err)
		if len(all) != 2001 || all[c.Slot] != l.counters(c.Slot) {
			t.Errorf("%d slots read at once, in which it has %+v", len(all), all[c.Slot])
		}
		must(t, l.maps.EachViolation(func(slot uint32, kind specs.Kind, n specs.Broken) {
			if slot != c.Slot || kind != specs.MACSpoof || n != (specs.Broken{Packets: 7, Dropped: 2}) {
				t.Errorf("slot %d has %+v violations of kind %s", slot, n, kind)
			}
		}))
		must(t, l.maps.Zero(c.Slot))
		if got := l.counters(c.Slot); got != none || l.violations(c.Slot) != 0 {
			t.Errorf("zeroed %+v", got)
		}
		l.settledLayout()
	})
}

// settledLayout checks that a migration has cleaned up.
func (l *lab) settledLayout() {
	l.Helper()
	for _, path := range []string{l.pins.nextDirectory().dir, l.pins.objectPath(pinMigrating)} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			l.Errorf("%s: %v", path, err)
		}
	}
}

// TestOpenMapsFollow checks that a process which opened the maps before they were replaced
// uses the new ones.
func TestOpenMapsFollow(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	dir := bpffs(t)
	must(t, mustLoad(t, ns, dir, Options{MaxEndpoints: 10}).Close())
	maps, err := Open(dir)
	must(t, err)
	defer maps.Close()
	e := Endpoint{Slot: slotA, ParentIndex: 1, MAC: macA, Driver: specs.Macvlan, Mode: specs.ModeBridge}
	must(t, maps.Register(e))
	x := &bench{TB: t, ns: ns, Datapath: mustLoad(t, ns, dir, Options{MaxEndpoints: 30})}
	e.Slot, e.MAC = 25, macB
	must(t, maps.Register(e))
	x.runFrame(ingress, plainFrame(macA, macLAN), nil)
	x.runFrame(ingress, plainFrame(macB, macLAN), nil)
	for _, slot := range []uint32{slotA, 25} {
		got, err := maps.Counters(slot)
		must(t, err)
		if got != receiveExternal(hundred) || x.counters(slot) != got {
			t.Errorf("slot %d has %+v here, %+v there", slot, got, x.counters(slot))
		}
	}
	must(t, maps.Zero(25))
	if got := x.counters(25); got != none {
		t.Errorf("zeroed here, %+v there", got)
	}
}

// TestOlderLayout takes over maps of another version, with fewer entries and without the
// last members.
func TestOlderLayout(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	dir := bpffs(t)
	old := pins{filepath.Join(dir, "v0")}
	must(t, old.makeDirectories())
	older := func(name string, spec ebpf.MapSpec, put func(*ebpf.Map) error) {
		t.Helper()
		spec.Name = name
		m, err := ebpf.NewMap(&spec)
		must(t, err)
		defer m.Close()
		must(t, put(m))
		must(t, m.Pin(old.objectPath(name)))
	}
	cpus, err := ebpf.PossibleCPU()
	must(t, err)
	// The counters of received frames only; those of sent frames stood behind them.
	older(mapCounters, ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 32, MaxEntries: 5}, func(m *ebpf.Map) error {
		values := make([][2]count, cpus)
		for i := range values {
			values[i][1] = count{10, 1000} // from the LAN
		}
		return m.Put(uint32(slotA), values)
	})
	older(mapViolations, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 24, MaxEntries: 5, Flags: unix.BPF_F_NO_PREALLOC}, func(m *ebpf.Map) error {
		return m.Put(uint32(slotA), violation{Packets: 3})
	})
	e := Endpoint{Slot: slotA, ParentIndex: 1, MAC: macA, Driver: specs.Macvlan, Mode: specs.ModeBridge}
	older(mapEndpoints, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 12, ValueSize: 8, MaxEntries: 5}, func(m *ebpf.Map) error {
		return m.Put(e.makeKey(), struct {
			Slot        uint32
			Mode, Flags uint8
			Reserved    uint16
		}{Slot: slotA, Mode: 1})
	})
	older(mapFilter, ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 1, MaxEntries: 1 << filterBits}, func(m *ebpf.Map) error {
		return m.Put(e.makeKey().filterIndex(), uint8(1))
	})
	x := &bench{TB: t, ns: ns, Datapath: mustLoad(t, ns, dir, Options{})}
	want := receiveExternal(countOf(uint64(10*cpus), uint64(1000*cpus)))
	if got := x.counters(slotA); got != want || x.violations(slotA) != 3 {
		t.Errorf("taken over %+v and %d violations, want %+v and 3", got, x.violations(slotA), want)
	}
	x.runFrame(ingress, plainFrame(macA, macLAN), nil)
	if got := x.counters(slotA); got != want.Plus(receiveExternal(hundred)) {
		t.Errorf("and then %+v", got)
	}
	if _, err := os.Stat(old.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old layout: %v", err)
	}
	(&lab{bench: x}).settledLayout()
}

// TestKilledLoads kills the process that loads and attaches, again and again, while a container
// sends; mostly with larger maps than before, so that it may die anywhere in a migration.
// No frame is missing from the counts.
func TestKilledLoads(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind, MaxEndpoints: 10})
		c := l.container(specs.ModeBridge)
		dir := filepath.Dir(l.pins.dir)
		must(t, l.Close())
		kills := 20
		if *long {
			kills = 100
		}
		var stop atomic.Bool
		sent := make(chan uint64)
		go func() { sent <- sendUntil(t, c, &stop) }()
		for i := range kills {
			p := l.startLoader(dir, kind, uint32(10+i/2*3))
			time.Sleep(time.Duration(5+i*37%90) * time.Millisecond) // chooses the point of the kill, not a duration
			must(t, p.Kill())
			_, _ = p.Wait()
		}
		stop.Store(true)
		n := <-sent
		l.Datapath = mustLoad(t, l.ns, dir, Options{Attach: kind})
		c.expectCounts("over all kills", transmitExternal(specs.Casts{Unicast: countOf(n, n*udpBytes(100))}))
		if got := l.attached(); got != kind {
			t.Errorf("attached by %q", got)
		}
		l.attachDatapath()
		l.requireCounting(c, "after all kills")
		l.settledLayout()
		t.Logf("%d datagrams over %d kills, %d slots", n, kills, l.maps.Slots())
	})
}

// sendUntil sends datagrams until stop is set, and returns their number.
func sendUntil(t *testing.T, c *container, stop *atomic.Bool) (n uint64) {
	testnet.In(t, c.NS, func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		to := &unix.SockaddrInet4{Port: 9, Addr: ipLAN.As4()}
		for !stop.Load() {
			if err := unix.Sendto(fd, make([]byte, 100), 0, to); err != nil {
				t.Error(err)
				return
			}
			n++
			time.Sleep(50 * time.Microsecond) // there may be only two processors
		}
	})
	return n
}

// TestMigrationWithoutTicks replaces maps while a container sends, on a machine with a processor
// that runs without ticks, where membarrier(2) does not wait for the programs of all processors
// (kernel/sched/membarrier.c). No frame is missing from the counts.
func TestMigrationWithoutTicks(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.NoTicks)
	const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL of linux/membarrier.h
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != unix.EINVAL {
		t.Errorf("membarrier with processors %s without ticks: %v, want %v", testnet.NoTickProcessors(), errno, unix.EINVAL)
	}
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind, MaxEndpoints: 10})
		c := l.container(specs.ModeBridge)
		dir := filepath.Dir(l.pins.dir)
		var stop atomic.Bool
		sent := make(chan uint64)
		go func() { sent <- sendUntil(t, c, &stop) }()
		for i := range 6 {
			must(t, l.Close())
			l.Datapath = mustLoad(t, l.ns, dir, Options{Attach: kind, MaxEndpoints: uint32(20 + 10*i)})
		}
		stop.Store(true)
		n := <-sent
		c.expectCounts("over all migrations", transmitExternal(specs.Casts{Unicast: countOf(n, n*udpBytes(100))}))
		l.requireCounting(c, "after all migrations")
		l.settledLayout()
		t.Logf("%d datagrams, %d slots", n, l.maps.Slots())
	})
}
