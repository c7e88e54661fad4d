package bpf

import (
	"errors"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// attachKinds returns the attach types of this kernel.
func attachKinds(t testing.TB) []string {
	t.Helper()
	p := verdictProgram(t, -1)
	var l link.Link
	var err error
	testnet.In(t, testnet.Namespace(t), func() {
		l, err = link.AttachTCX(link.TCXOptions{Interface: 1, Program: p, Attach: ebpf.AttachTCXIngress})
	})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return []string{Clsact}
	}
	must(t, err)
	must(t, l.Close())
	return []string{TCX, Clsact}
}

// needTCX skips a test that needs tcx, of Linux 6.6.
func needTCX(t testing.TB) {
	t.Helper()
	testnet.Since(t, slices.Contains(attachKinds(t), TCX), "tcx", testnet.Version{Major: 6, Minor: 6})
}

// eachAttachKind runs a test for every attach type.
func eachAttachKind(t *testing.T, test func(t *testing.T, kind string)) {
	t.Helper()
	testnet.Need(t, testnet.Root)
	for _, kind := range attachKinds(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// attached returns the attach type of the programs on the parent, or "" if there are none.
func (l *lab) attached() string {
	l.Helper()
	var all map[int]Attachment
	var err error
	testnet.In(l, l.ns, func() { all, err = l.Attached() })
	must(l, err)
	return all[l.parent].Kind
}

// inHost runs fn in the host's namespace.
func (l *lab) inHost(fn func() error) {
	l.Helper()
	var err error
	testnet.In(l, l.ns, func() { err = fn() })
	must(l, err)
}

// shownPrograms returns the programs on the parent, as tools print them.
func (l *lab) shownPrograms() string {
	l.Helper()
	out := testnet.Run(l, l.ns, "tc", "qdisc", "show", "dev", "eth0")
	for _, way := range []string{"ingress", "egress"} {
		out += testnet.Run(l, l.ns, "tc", "filter", "show", "dev", "eth0", way)
	}
	if slices.Contains(attachKinds(l), TCX) {
		for _, attach := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
			testnet.In(l, l.ns, func() {
				r, err := link.QueryPrograms(link.QueryOptions{Target: l.parent, Attach: attach})
				must(l, err)
				for _, p := range r.Programs {
					out += attach.String() + " " + programName(l, p.ID) + "\n"
				}
			})
		}
	}
	return out
}

func programName(t testing.TB, id ebpf.ProgramID) string {
	t.Helper()
	p, err := ebpf.NewProgramFromID(id)
	must(t, err)
	defer p.Close()
	info, err := p.Info()
	must(t, err)
	return info.Name
}

// requireCounting checks that frames are counted, by sending one more.
func (l *lab) requireCounting(c *container, what string) {
	l.Helper()
	want := l.counters(c.Slot)
	want.Transmit.External.Unicast = want.Transmit.External.Unicast.Plus(countOf(1, udpBytes(100)))
	sendUDP(l, c.NS, ipLAN, 1, 100)
	c.expectCounts(what, want)
}

// requireNotCounting checks that a frame which arrived was not counted.
func (l *lab) requireNotCounting(c *container, what string) {
	l.Helper()
	before := l.counters(c.Slot)
	stats := testnet.Link(l, l.lan, "wire").Attrs().Statistics
	sendUDP(l, c.NS, ipLAN, 1, 100)
	testnet.Eventually(l, "the frame at the far end", func() bool {
		return testnet.Link(l, l.lan, "wire").Attrs().Statistics.RxPackets > stats.RxPackets
	})
	if got := l.counters(c.Slot); got != before {
		l.Errorf("%s: counted\n%+v after\n%+v", what, got, before)
	}
}

// neighbourPrograms attaches a tcx program, a clsact qdisc and filters of other programs to
// the parent.
func (l *lab) neighbourPrograms(verdict int32) {
	l.Helper()
	testnet.Run(l, l.ns, "tc", "qdisc", "add", "dev", "eth0", "clsact")
	other := verdictProgram(l, verdict)
	l.inHost(func() error {
		for i, w := range ways {
			for priority := uint16(1); priority <= 3; priority += 2 {
				f := &netlink.BpfFilter{FilterAttrs: netlink.FilterAttrs{
					LinkIndex: l.parent, Parent: w.qdiscParent(), Handle: uint32(1 + i), Priority: priority, Protocol: unix.ETH_P_ALL,
				}, Fd: other.FD(), Name: "theirs", DirectAction: true}
				if err := l.devices.FilterAdd(f); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if !slices.Contains(attachKinds(l), TCX) {
		return
	}
	l.inHost(func() error {
		theirs, err := link.AttachTCX(link.TCXOptions{Interface: l.parent, Program: other, Attach: ebpf.AttachTCXIngress})
		if err == nil {
			l.Cleanup(func() { must(l, theirs.Close()) })
		}
		return err
	})
}
