package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"berth/internal/testnet"
	"berth/specs"
)

// TestRestart checks that counting goes on without a process, and that the next one takes
// over the pins of the last.
func TestRestart(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind, MaxEndpoints: 100})
		c := l.container(specs.ModeBridge)
		l.requireCounting(c, "at first")
		dir := filepath.Dir(l.pins.dir)
		must(t, l.Close())
		sendUDP(t, c.NS, ipLAN, 10, 100)
		maps, err := Open(dir)
		must(t, err)
		n := transmitExternal(specs.Casts{Unicast: countOf(11, 11*udpBytes(100))})
		expectCounters(t, maps, c.Slot, "without a process", n)
		must(t, maps.Close())

		l.Datapath = mustLoad(t, l.ns, dir, Options{Attach: kind, MaxEndpoints: 5000})
		if slots := l.maps.Slots(); slots != 5001 {
			t.Errorf("%d slots, want 5001", slots)
		}
		if got := l.attached(); got != kind {
			t.Errorf("after the restart attached by %q", got)
		}
		l.requireCounting(c, "after the restart")
		l.attachDatapath()
		l.requireCounting(c, "with the new program")
		if after := l.counters(c.Slot).Transmit.Total(); after != countOf(13, 13*udpBytes(100)) {
			t.Errorf("in all %+v", after)
		}
	})
}

// TestKilledLoader checks that the attachments of a killed process keep counting.
func TestKilledLoader(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		testnet.Need(t, testnet.Macvlan)
		l := newLab(t, Options{Attach: kind})
		c := l.container(specs.ModeBridge)
		dir := filepath.Dir(l.pins.dir)
		must(t, l.Close())
		for range 3 {
			var cmd *exec.Cmd
			started, pipe := startLoader(t, l, dir, kind, &cmd)
			if _, err := pipe.Read(started); err != nil {
				t.Fatalf("the loader did not attach: %v", err)
			}
			sendUDP(t, c.NS, ipLAN, 10, 100)
			must(t, cmd.Process.Kill())
			sendUDP(t, c.NS, ipLAN, 10, 100)
			_ = cmd.Wait() // killed
			sendUDP(t, c.NS, ipLAN, 10, 100)
		}
		maps, err := Open(dir)
		must(t, err)
		defer maps.Close()
		n := transmitExternal(specs.Casts{Unicast: countOf(90, 90*udpBytes(100))})
		expectCounters(t, maps, c.Slot, "over three kills", n)
	})
}

// loaderEnv makes TestLoaderProcess the process that is killed: it holds the directory, the
// attach type, the parent's MAC and the number of endpoints.
const loaderEnv = "BERTH_TEST_LOADER"

func startLoader(t *testing.T, l *lab, dir, kind string, cmd **exec.Cmd) ([]byte, *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	must(t, err)
	defer write.Close()
	t.Cleanup(func() { _ = read.Close() })
	*cmd = l.loader(dir, kind, 0)
	(*cmd).ExtraFiles = []*os.File{write}
	testnet.In(t, l.ns, func() { err = (*cmd).Start() })
	must(t, err)
	return make([]byte, 1), read
}

// startLoader starts a loader without waiting until it is attached.
func (l *lab) startLoader(dir, kind string, endpoints uint32) *os.Process {
	l.Helper()
	cmd := l.loader(dir, kind, endpoints)
	var err error
	testnet.In(l, l.ns, func() { err = cmd.Start() })
	must(l, err)
	return cmd.Process
}

func (l *lab) loader(dir, kind string, endpoints uint32) *exec.Cmd {
	cmd := exec.CommandContext(l.Context(), "/proc/self/exe", "-test.run=^TestLoaderProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %d", loaderEnv, dir, kind, l.hostMAC, endpoints))
	return cmd
}

// TestLoaderProcess is not a test unless another starts it.
func TestLoaderProcess(t *testing.T) {
	words := strings.Fields(os.Getenv(loaderEnv))
	if len(words) == 0 {
		return
	}
	parent := testnet.Link(t, testnet.Here(t), "eth0").Attrs()
	endpoints, err := strconv.ParseUint(words[3], 10, 32)
	must(t, err)
	d, err := Load(words[0], Options{Attach: words[1], MaxEndpoints: uint32(endpoints)})
	must(t, err)
	mac, err := specs.ParseMAC(words[2])
	must(t, err)
	must(t, d.Attach(parent.Index, mac))
	_, _ = os.NewFile(3, "started").Write([]byte{1}) // for the parent process, if it reads
	select {}                                        // until killed
}

// TestWithoutAgent detaches and purges as the command line does if no agent runs.
func TestWithoutAgent(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		before := l.shownPrograms()
		c := l.container(specs.ModeBridge)
		l.requireCounting(c, "attached")
		dir := filepath.Dir(l.pins.dir)
		l.inHost(func() error { return DetachPinned(dir) })
		l.requireNotCounting(c, "detached")
		if after := l.shownPrograms(); after == before {
			t.Errorf("still attached:\n%s", after)
		}
		l.attachDatapath()
		l.requireCounting(c, "attached again, the counts kept")
		l.inHost(func() error { return PurgePinned(dir) })
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after purging: %v", err)
		}
		if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open what is purged: %v", err)
		}
		if err := DetachPinned(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("detach what is purged: %v", err)
		}
	})
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	if _, err := Load(filepath.Join(t.TempDir(), "berth"), Options{}); !errors.Is(err, ErrNotBPFFS) {
		t.Errorf("a directory of another file system: %v", err)
	}
	dir := bpffs(t)
	p := pinsUnder(dir)
	must(t, p.makeDirectories())
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err)
	defer m.Close()
	must(t, m.Pin(p.objectPath(mapCounters)))
	if _, err := Load(dir, Options{}); !errors.Is(err, ebpf.ErrMapIncompatible) {
		t.Errorf("a pinned map of another layout: %v", err)
	}
}
