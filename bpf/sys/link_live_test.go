package sys

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// passing loads a program that passes every frame, and pins it.
func passing(t *testing.T, path string) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "passing", Type: ebpf.SchedCLS, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	must(t, err)
	t.Cleanup(func() { p.Close() })
	must(t, p.Pin(path))
	return p
}

func TestProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(bpffs(t), "program")
	theirs := passing(t, path)
	ours, err := LoadPinnedProgram(path)
	must(t, err)
	defer ours.Close()
	info, err := theirs.Info()
	must(t, err)
	want, _ := info.ID()
	if id, err := ProgramID(ours.FD()); err != nil || id != uint32(want) {
		t.Errorf("id %d, %v, want %d", id, err, want)
	}
	if _, err := LoadPinnedProgram(path + "-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program that is not pinned: %v", err)
	}
}

// TestLinkAsLibrary compares links with those of cilium/ebpf, and on a kernel without tcx the
// refusal.
func TestLinkAsLibrary(t *testing.T) {
	t.Parallel()
	dir := bpffs(t)
	first, second := passing(t, filepath.Join(dir, "first")), passing(t, filepath.Join(dir, "second"))
	third := passing(t, filepath.Join(dir, "third"))
	testnet.In(t, testnet.Namespace(t), func() {
		const loopback = 1
		theirs, err := link.AttachTCX(link.TCXOptions{Interface: loopback, Program: second, Attach: ebpf.AttachTCXEgress})
		if has := err == nil; HasTCX() != has {
			t.Fatalf("tcx: %t, of the library %v", HasTCX(), err)
		}
		ours, mine := AttachFirst(first.FD(), loopback, Egress)
		if err != nil {
			if !errors.Is(err, ebpf.ErrNotSupported) || !errors.Is(mine, ErrNotSupported) {
				t.Fatalf("without tcx: %v, of the library %v", mine, err)
			}
			return
		}
		defer theirs.Close()
		must(t, mine)
		expectOrder(t, loopback, ours, first, second)
		must(t, ours.Pin(filepath.Join(dir, "link")))
		must(t, ours.Close())
		again, err := LoadPinnedLink(filepath.Join(dir, "link"))
		must(t, err)
		defer again.Close()
		must(t, again.Update(third.FD()))
		expectOrder(t, loopback, again, third, second)
		clone, err := again.Clone()
		must(t, err)
		defer clone.Close()
		must(t, clone.Detach())
		if info, ok, err := again.Info(); err != nil || !ok || info.IfIndex != 0 {
			t.Errorf("of a detached link: %v, %t, %v", info, ok, err)
		}
		if err := again.Update(first.FD()); !errors.Is(err, unix.ENOLINK) {
			t.Errorf("update of a detached link: %v", err)
		}
		if _, err := AttachFirst(first.FD(), 4242, Egress); !errors.Is(err, unix.ENODEV) {
			t.Errorf("attach to no interface: %v", err)
		}
	})
}

// expectOrder checks that an interface has the link with its program first, and then the other,
// as the library lists them.
func expectOrder(t *testing.T, ifindex int, l *Link, first, second *ebpf.Program) {
	t.Helper()
	all, err := QueryTCX(ifindex, Egress)
	must(t, err)
	theirs, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: ebpf.AttachTCXEgress})
	must(t, err)
	if len(all) != 2 || len(theirs.Programs) != 2 {
		t.Fatalf("%v are attached, of the library %v", all, theirs.Programs)
	}
	for i, p := range theirs.Programs {
		if id, _ := p.LinkID(); all[i] != (Attached{uint32(p.ID), uint32(id)}) {
			t.Errorf("place %d: %v, of the library %v", i, all[i], p)
		}
	}
	info, ok, err := l.Info()
	must(t, err)
	a, _ := ProgramID(first.FD())
	b, _ := ProgramID(second.FD())
	if !ok || info != (LinkInfo{all[0].Link, a, uint32(ifindex)}) || all[0].Program != a || all[1].Program != b {
		t.Errorf("link %v (%t), programs %v, want %d and %d on %d", info, ok, all, a, b, ifindex)
	}
}

// TestRefusalIsNotTakenForNoTCX asks the kernel without capabilities, which it refuses: that is no
// answer, and the next question is.
func TestRefusalIsNotTakenForNoTCX(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	var fresh tcxAnswer
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // without UnlockOSThread the thread ends with the goroutine
		var none [2]unix.CapUserData
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Error(err)
			return
		}
		if _, err := QueryTCX(1, Egress); !errors.Is(err, unix.EPERM) {
			t.Errorf("a query without capabilities: %v, want %v", err, unix.EPERM)
		}
		if !fresh.has() || fresh.given.Load() {
			t.Error("a refused query counts as the kernel's answer")
		}
	}()
	<-done
	if fresh.has() != HasTCX() {
		t.Errorf("after a refusal: tcx %t, want %t", fresh.has(), HasTCX())
	}
}

func TestCloneFails(t *testing.T) {
	t.Parallel()
	if l, err := (&Link{object{-1}}).Clone(); l != nil || !errors.Is(err, unix.EBADF) {
		t.Errorf("a copy of no link: %v, %v", l, err)
	}
}

// TestManyPrograms attaches more programs than the first query has room for.
func TestManyPrograms(t *testing.T) {
	t.Parallel()
	dir := bpffs(t)
	if !HasTCX() {
		t.Skip("this kernel has no tcx")
	}
	testnet.In(t, testnet.Namespace(t), func() {
		for i := range 20 {
			l, err := AttachFirst(passing(t, filepath.Join(dir, "p"+string(rune('a'+i)))).FD(), 1, Ingress)
			must(t, err)
			defer l.Close()
		}
		if all, err := QueryTCX(1, Ingress); err != nil || len(all) != 20 {
			t.Errorf("%d programs, %v", len(all), err)
		}
	})
}
