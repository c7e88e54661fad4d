package bpf

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
	"berth/internal/testnet"
	"berth/specs"
)

func TestAttachAndDetach(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		c := l.container(specs.ModeBridge)
		if got := l.attached(); got != kind {
			t.Errorf("attached by %q, want %q", got, kind)
		}
		l.requireCounting(c, "attached")
		l.attachDatapath()
		l.requireCounting(c, "attached again")
		l.inHost(func() error { return l.Detach(l.parent) })
		l.requireNotCounting(c, "detached")
		if got := l.attached(); got != "" {
			t.Errorf("attached by %q after detaching", got)
		}
		l.inHost(func() error { return l.Detach(l.parent) })
		l.attachDatapath()
		l.requireCounting(c, "attached after detaching")
	})
}

// TestAttachAuto checks that tcx is preferred, and that a change of the setting leaves nothing of
// the other attach type.
func TestAttachAuto(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	all := attachKinds(t)
	l := newLab(t, Options{Attach: "auto"})
	c := l.container(specs.ModeBridge)
	if got := l.attached(); got != all[0] {
		t.Errorf("attached by %q, want %q", got, all[0])
	}
	for _, kind := range slices.Concat(all, all) {
		l.Datapath.attach = kind
		l.attachDatapath()
		if got := l.attached(); got != kind {
			t.Errorf("attached by %q, want %q", got, kind)
		}
		l.requireCounting(c, "by "+kind+" alone")
	}
	if _, err := Load(bpffs(t), Options{Attach: "xdp"}); err == nil {
		t.Error("a way to attach that does not exist is taken")
	}
}

// TestOthersAreUntouched compares the parent's programs before attaching and after
// detaching, and checks that the others' are there all the while.
func TestOthersAreUntouched(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		c := l.container(specs.ModeBridge)
		l.inHost(func() error { return l.Detach(l.parent) })
		l.neighbourPrograms(-1)
		before := l.shownPrograms()
		for range 2 {
			l.attachDatapath()
			during := l.shownPrograms()
			for _, line := range bytes.Split([]byte(before), []byte("\n")) {
				if !bytes.Contains([]byte(during), line) {
					t.Errorf("missing while we are attached: %s", line)
				}
			}
			l.requireCounting(c, "beside others")
		}
		l.inHost(func() error { return l.Detach(l.parent) })
		if after := l.shownPrograms(); after != before {
			t.Errorf("before us:\n%s\nafter us:\n%s", before, after)
		}
	})
}

// TestTCXRunsFirst checks that with tcx berth sees the frames that a later program or clsact drops.
func TestTCXRunsFirst(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	needTCX(t)
	l := newLab(t, Options{Attach: TCX})
	c := l.container(specs.ModeBridge)
	l.inHost(func() error { return l.Detach(l.parent) })
	l.neighbourPrograms(2) // TC_ACT_SHOT
	l.attachDatapath()
	sendUDP(t, l.lan, c.ip, 3, 100)
	c.expectCounts("although dropped after us", receiveExternal(countOf(3, 3*udpBytes(100))))
}

// TestQdisc checks that a clsact qdisc is left as it was found: that of another program,
// and berth's own if others use it.
func TestQdisc(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	l := newLab(t, Options{Attach: Clsact})
	has := func() bool { return bytes.Contains([]byte(l.shownPrograms()), []byte("qdisc clsact")) }
	detach := func() { l.inHost(func() error { return l.Detach(l.parent) }) }
	if !has() {
		t.Error("no clsact qdisc while attached")
	}
	detach()
	if has() {
		t.Error("our empty qdisc is left")
	}
	l.attachDatapath()
	testnet.Run(t, l.ns, "tc", "filter", "add", "dev", "eth0", "ingress", "prio", "9", "protocol", "ip", "u32", "match", "u32", "0", "0")
	detach()
	if !has() {
		t.Error("our qdisc, which another uses, is gone")
	}
	testnet.Run(t, l.ns, "tc", "filter", "del", "dev", "eth0", "ingress")
	l.attachDatapath()
	detach()
	if !has() {
		t.Error("a qdisc that we did not make is gone")
	}
}

// TestParentGone checks that stale entries of a deleted interface are removed, by Detach
// and by the next Load.
func TestParentGone(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		for _, byLoad := range []bool{false, true} {
			l := newLab(t, Options{Attach: kind})
			testnet.Run(t, l.ns, "ip", "link", "del", "eth0")
			if byLoad {
				must(t, l.Close())
				l.Datapath = mustLoad(t, l.ns, filepath.Dir(l.pins.dir), Options{Attach: kind})
			} else {
				l.inHost(func() error { return l.Detach(l.parent) })
			}
			l.nothingLeft()
		}
	})
}

// nothingLeft checks that no pin and no key of a parent exists.
func (l *lab) nothingLeft() {
	l.Helper()
	if pinned, err := l.pins.linkedParents(); err != nil || len(pinned) != 0 {
		l.Errorf("pinned links of %v (%v)", pinned, err)
	}
	m, err := l.maps.openMap(mapParents)
	must(l, err)
	var key, value []byte
	for entries := m.Iterate(); entries.Next(&key, &value); {
		l.Errorf("parent %x", key)
	}
	if left := l.macs(); len(left) != 0 {
		l.Errorf("MACs %v", left)
	}
}

// TestChangedParentMAC checks that a new MAC of the parent replaces the old one.
func TestChangedParentMAC(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	must(t, x.ownMAC(1, macLAN))
	if v, found := x.macs()[parentKey(1, macHost)]; found {
		t.Errorf("the old MAC: %+v", v)
	}
	if v := x.macs()[parentKey(1, macLAN)]; v.Is.Flags != flagParent || v.Is.Slot != 0 {
		t.Errorf("the new MAC: %+v", v)
	}
	must(t, x.maps.forgetParent(1))
	if v, found := x.macs()[parentKey(1, macLAN)]; found {
		t.Errorf("after detaching: %+v", v)
	}
}

func TestAttachToNothing(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		testnet.In(t, l.ns, func() {
			if err := l.Attach(4711, macB); !errors.Is(err, unix.ENODEV) {
				t.Errorf("attach to an interface that does not exist: %v, want ENODEV", err)
			}
		})
		l.inHost(func() error { return l.Detach(l.parent) })
		l.nothingLeft()
	})
}

// TestSharedBlock attaches to a parent whose clsact qdisc has the filters of shared blocks: by
// clsact the error names the remedy, and by tcx all is counted.
func TestSharedBlock(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	l := newLab(t, Options{Attach: Clsact})
	l.inHost(func() error { return l.Detach(l.parent) })
	testnet.Run(t, l.ns, "tc", "qdisc", "add", "dev", "eth0", "ingress_block", "22", "egress_block", "23", "clsact")
	testnet.In(t, l.ns, func() {
		err := l.Attach(l.parent, l.hostMAC)
		if !errors.Is(err, ErrSharedBlock) || !strings.Contains(err.Error(), `attach = "auto"`) ||
			!strings.Contains(err.Error(), "tc qdisc del dev eth0 clsact") {
			t.Errorf("by clsact: %v", err)
		}
	})
	if at := l.parentAttachment(); at.Kind != "" {
		t.Errorf("attached by %q", at.Kind)
	}
	if kind, _, err := ingressQdisc(l.tc, l.parent); err != nil || kind != Clsact {
		t.Errorf("the qdisc is of kind %q, %v: it was not berth's to remove", kind, err)
	}
	if !sys.HasTCX() {
		return
	}
	l.attach = "auto"
	l.attachDatapath()
	l.requireCounting(l.container(specs.ModeBridge), "by tcx")
}
