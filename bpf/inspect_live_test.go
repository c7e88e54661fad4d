package bpf

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// parentAttachment returns the parent's attachment.
func (l *lab) parentAttachment() (at Attachment) {
	l.Helper()
	l.inHost(func() error {
		all, err := l.Attached()
		at = all[l.parent]
		return err
	})
	return at
}

// aheadNames fails unless exactly one program is ahead, and its text has these words.
func (l *lab) aheadNames(words ...string) {
	l.Helper()
	ahead := l.parentAttachment().ProgramsAhead
	if len(ahead) != 1 {
		l.Fatalf("ahead: %q, want one", ahead)
	}
	for _, w := range words {
		if !strings.Contains(ahead[0], w) {
			l.Errorf("ahead: %q, want %q in it", ahead[0], w)
		}
	}
}

// attachFirst attaches a tcx program before all others.
func (l *lab) attachFirst(p *ebpf.Program, w direction) link.Link {
	l.Helper()
	var theirs link.Link
	l.inHost(func() (err error) {
		theirs, err = link.AttachTCX(link.TCXOptions{Interface: l.parent, Program: p, Attach: ebpf.AttachType(w.tcxAttachType()), Anchor: link.Head()})
		return err
	})
	return theirs
}

func namedProgram(t testing.TB, name string, kind ebpf.ProgramType, verdict int32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: kind, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()}})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// TestTCXAhead names a tcx program that others attached before berth's, in either direction
// and with either attach type, and none behind berth's.
func TestTCXAhead(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		needTCX(t)
		l := newLab(t, Options{Attach: kind})
		if at := l.parentAttachment(); len(at.ProgramsAhead) != 0 || at.Old || at.Kind != kind {
			t.Errorf("alone: %+v", at)
		}
		p := namedProgram(t, "theirs", ebpf.SchedCLS, -1)
		for _, w := range ways {
			theirs := l.attachFirst(p, w)
			l.aheadNames("tcx", w.String(), `"theirs"`)
			must(t, theirs.Close())
			testnet.Eventually(t, "nothing ahead", func() bool { return len(l.parentAttachment().ProgramsAhead) == 0 })
		}
		if kind == TCX {
			l.inHost(func() error {
				behind, err := link.AttachTCX(link.TCXOptions{Interface: l.parent, Program: p, Attach: ebpf.AttachTCXIngress})
				if err == nil {
					t.Cleanup(func() { must(t, behind.Close()) })
				}
				return err
			})
			if at := l.parentAttachment(); len(at.ProgramsAhead) != 0 {
				t.Errorf("behind ours: %+v", at)
			}
		}
	})
}

// TestFilterAhead names clsact filters of any kind that the kernel runs before berth's, and
// none of those behind.
func TestFilterAhead(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	l := newLab(t, Options{Attach: Clsact})
	l.inHost(func() error { return l.Detach(l.parent) })
	testnet.Run(t, l.ns, "tc", "qdisc", "add", "dev", "eth0", "clsact")
	add := func(args ...string) {
		testnet.Run(t, l.ns, "tc", slices.Concat([]string{"filter", "add", "dev", "eth0"}, args)...)
	}
	add("egress", "prio", "1", "protocol", "ip", "u32", "match", "u32", "0", "0")
	add("egress", "prio", "7", "protocol", "ip", "u32", "match", "u32", "0", "0")
	add("ingress", "prio", "1", "chain", "3", "protocol", "ip", "u32", "match", "u32", "0", "0")
	l.attachDatapath()
	l.aheadNames("egress filter", "u32", "preference 1")
}

// TestXDPAhead names an XDP program of the parent.
func TestXDPAhead(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		p := namedProgram(t, "steals", ebpf.XDP, 2) // XDP_PASS
		for flag, mode := range map[int]string{unix.XDP_FLAGS_SKB_MODE: "generic", unix.XDP_FLAGS_DRV_MODE: "native"} {
			eth0 := testnet.Link(t, l.ns, "eth0")
			l.inHost(func() error { return netlink.LinkSetXdpFdWithFlags(eth0, p.FD(), flag) })
			l.aheadNames("XDP", mode, `"steals"`, `"eth0"`)
			l.inHost(func() error { return netlink.LinkSetXdpFdWithFlags(eth0, -1, flag) })
			if at := l.parentAttachment(); len(at.ProgramsAhead) != 0 || at.Kind != kind {
				t.Errorf("after it: %+v", at)
			}
		}
	})
}

// TestAttachRepairsLostPrograms removes a program in each possible way: the parent does not count as
// attached, and attaching again repairs it.
func TestAttachRepairsLostPrograms(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	for name, tt := range map[string]struct {
		kind string
		lose func(l *lab)
	}{
		"clsact removed":          {Clsact, func(l *lab) { testnet.Run(t, l.ns, "tc", "qdisc", "del", "dev", "eth0", "clsact") }},
		"clsact removed and made": {Clsact, (*lab).remakeClsact},
		"egress filters removed":  {Clsact, func(l *lab) { testnet.Run(t, l.ns, "tc", "filter", "del", "dev", "eth0", "egress") }},
		"ingress filters removed": {Clsact, func(l *lab) { testnet.Run(t, l.ns, "tc", "filter", "del", "dev", "eth0", "ingress") }},
		"ingress link detached":   {TCX, func(l *lab) { l.forceDetach(ingress) }},
		"egress link detached":    {TCX, func(l *lab) { l.forceDetach(egress) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.kind == TCX {
				needTCX(t)
			}
			l := newLab(t, Options{Attach: tt.kind})
			c := l.container(specs.ModeBridge)
			l.requireCounting(c, "at first")
			tt.lose(l)
			if at := l.parentAttachment(); at.Kind != "" {
				t.Errorf("%+v, want it not attached", at)
			}
			l.attachDatapath()
			l.requireCounting(c, "attached again")
			if at := l.parentAttachment(); at.Kind != tt.kind || at.Old || len(at.ProgramsAhead) != 0 {
				t.Errorf("%+v after attaching again", at)
			}
		})
	}
}

func (l *lab) remakeClsact() {
	testnet.Run(l, l.ns, "tc", "qdisc", "del", "dev", "eth0", "clsact")
	testnet.Run(l, l.ns, "tc", "qdisc", "add", "dev", "eth0", "clsact")
}

func (l *lab) forceDetach(w direction) {
	theirs, err := link.LoadPinnedLink(l.pins.linkPath(l.parent, w), nil)
	must(l, err)
	must(l, theirs.Detach())
	must(l, theirs.Close())
}

// TestRemadeQdiscStays checks that a clsact qdisc which another program created in place of
// berth's is not removed.
func TestRemadeQdiscStays(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	l := newLab(t, Options{Attach: Clsact})
	l.remakeClsact()
	l.attachDatapath()
	l.inHost(func() error { return l.Detach(l.parent) })
	if shown := l.shownPrograms(); !strings.Contains(shown, "qdisc clsact") {
		t.Errorf("another's qdisc is gone:\n%s", shown)
	}
}

// TestQdiscInPlace attaches by clsact to a parent on which another qdisc has its place, or
// its handle. The error has the remedy and nothing is left behind; tcx is not affected.
func TestQdiscInPlace(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	for name, tt := range map[string]struct {
		add  []string
		want string
	}{
		"ingress":           {[]string{"handle", "ffff:", "ingress"}, "tc qdisc del dev eth0 ingress"},
		"root with handle":  {[]string{"root", "handle", "ffff:", "pfifo"}, "give that one another handle"},
		"ingress with root": {[]string{"ingress"}, `of kind "ingress"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, Options{Attach: Clsact})
			c := l.container(specs.ModeBridge)
			l.inHost(func() error { return l.Detach(l.parent) })
			testnet.Run(t, l.ns, "tc", slices.Concat([]string{"qdisc", "add", "dev", "eth0"}, tt.add)...)
			before := l.shownPrograms()
			testnet.In(t, l.ns, func() {
				if err := l.Attach(l.parent, l.hostMAC); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			})
			if at := l.parentAttachment(); at.Kind != "" {
				t.Errorf("%+v, want it not attached", at)
			}
			if after := l.shownPrograms(); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			l.requireNotCounting(c, "refused")
			if !slices.Contains(attachKinds(t), TCX) {
				return
			}
			l.Datapath.attach = "auto"
			l.attachDatapath()
			l.requireCounting(c, "by tcx")
		})
	}
}

func (l *lab) violationsOf(slot uint32, kind specs.Kind) uint64 {
	l.Helper()
	all, err := l.maps.Violations(slot)
	must(l, err)
	return all[kind].Packets
}
