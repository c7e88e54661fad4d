package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"

	"github.com/cilium/ebpf/link"
)

// removal is a way to remove programs from a container's interface, from inside the container.
type removal struct {
	what string
	lost bpf.OwnProgram // whose lack the agent reports
	do   func()
}

// TestProgramsRemovedInside removes the programs of a container's own interface, as a container with
// CAP_NET_ADMIN can: the parent is failed at once, until berth gc has attached them again.
func TestProgramsRemovedInside(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	for _, driver := range []specs.Driver{specs.Macvlan, specs.IPvlan} {
		t.Run(string(driver), func(t *testing.T) {
			t.Parallel()
			if driver == specs.IPvlan {
				testnet.Need(t, testnet.IPvlan)
			}
			c, _ := attachStrict(t, driver)
			c.answersCounting("at first")
			for _, r := range c.removals(hasTCX(t)) {
				r.do()
				testnet.Eventually(t, r.what+" is noticed", func() bool { return c.onlyParent().State == specs.ParentFailed })
				c.answersFailed(c.lackText(r.lost))
				done, err := c.newReleaser().AttachOwnPrograms(t.Context())
				if err != nil || done != (release.OwnProgramsDone{Attached: 1}) {
					t.Fatalf("after %s, berth gc: %+v, %v", r.what, done, err)
				}
				c.answersCounting("berth gc, after " + r.what)
			}
			for _, args := range []string{"filter add dev net1 egress prio 7 protocol ip u32 match u32 0 0",
				"filter del dev net1 egress prio 7", "qdisc add dev net1 root pfifo", "qdisc del dev net1 root"} {
				if hasTCX(t) && strings.HasPrefix(args, "filter") {
					continue // there is no clsact
				}
				c.inTC(args)
				c.answersCounting("of the container's own: tc " + args)
			}
			testnet.Run(t, c.ns, "ip", "link", "del", "net1")
			c.answersCounting("the interface is deleted")
		})
	}
}

// TestFiltersAheadInside puts a filter before berth's on a container's interface, on a kernel without tcx:
// the parent is failed, and berth gc names the filter. Once the container has removed it, berth gc makes
// the parent count again.
func TestFiltersAheadInside(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	testnet.Before(t, hasTCX(t), "tcx", testnet.Version{Major: 6, Minor: 6})
	c, _ := attachStrict(t, specs.Macvlan)
	for _, filter := range []string{
		"egress prio 1 handle 0xbe27 bpf bytecode NOTHING", // in its place
		"egress prio 1 handle 2 bpf bytecode NOTHING",
		"ingress prio 1 handle 2 bpf bytecode NOTHING",
	} {
		c.inTC("filter replace dev net1 " + filter)
		testnet.Eventually(t, filter+" is noticed", func() bool { return c.onlyParent().State == specs.ParentFailed })
		if done, err := c.newReleaser().AttachOwnPrograms(t.Context()); !errors.Is(err, bpf.ErrAhead) || done.Left != 1 {
			t.Errorf("%s: berth gc: %+v, %v", filter, done, err)
		}
		if got := c.onlyParent().State; got != specs.ParentFailed {
			t.Errorf("%s: after berth gc the parent is %s", filter, got)
		}
		c.inTC("qdisc del dev net1 clsact")
		testnet.Eventually(t, "counting without "+filter, func() bool { // berth gc may run before the agent hears of it
			_, err := c.newReleaser().AttachOwnPrograms(t.Context())
			mustSucceed(t, err)
			return c.onlyParent().State == specs.ParentCounting
		})
	}
}

// inTC runs tc in the container. NOTHING stands for a program that matches no frame.
func (c *container) inTC(args string) {
	c.t.Helper()
	all := strings.Fields(args)
	for i := range all {
		all[i] = strings.Replace(all[i], "NOTHING", "1,6 0 0 0", 1)
	}
	testnet.Run(c.t, c.ns, "tc", all...)
}

// TestFiltersRemovedUnseen removes the filters of a container's interface while no agent runs. The next
// agent cannot see that. berth gc, which enters the container's namespace, attaches them again.
func TestFiltersRemovedUnseen(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	testnet.Before(t, hasTCX(t), "tcx", testnet.Version{Major: 6, Minor: 6})
	c, a := attachStrict(t, specs.Macvlan)
	a.stopAgent(syscall.SIGTERM)
	want := func(what string, attached int) {
		t.Helper()
		done, err := c.newReleaser().AttachOwnPrograms(t.Context())
		if err != nil || done != (release.OwnProgramsDone{Attached: attached}) {
			t.Errorf("%s: %+v, %v; want %d attached", what, done, err, attached)
		}
	}
	want("at first", 0)
	for _, way := range []string{"egress", "ingress"} {
		c.inTC("filter del dev net1 " + way)
		want("without "+way, 1)
		want("with both", 0)
	}
	c.startAgent()
	c.answersCounting("in the end")
}

// attachStrict attaches a container of a network that enforces rules, with the programs on its own
// interface and a process in its namespace.
func attachStrict(t *testing.T, driver specs.Driver) (c *container, a *agent) {
	t.Helper()
	l := newLab(t)
	enforce := []specs.Kind{specs.IPSpoof}
	if driver == specs.IPvlan {
		l.writeNetwork("lan", ipvlanFile)
		a = l.startAgent()
		c = l.attachIPvlan("strict", 1, enforce, bpf.SiblingProgram, bpf.GuardProgram)
	} else {
		l.writeNetwork("lan", lanFile)
		a = l.startAgent()
		c = l.attachAs("strict", 1, func(at *state.Attachment) { at.Enforce = enforce })
		c.attachPrograms(bpf.SiblingProgram, bpf.ReceiverProgram)
	}
	testnet.Process(t, c.ns)
	return c, a
}

// onIngress returns the program on the ingress of the container's interface.
func (c *container) onIngress() bpf.OwnProgram {
	if c.record.Driver == specs.IPvlan {
		return bpf.GuardProgram
	}
	return bpf.ReceiverProgram
}

// lackText returns a part of the text for interfaces that lack a program.
func (c *container) lackText(o bpf.OwnProgram) string {
	switch {
	case o == bpf.ReceiverProgram:
		return "forged multicast and broadcast frames can reach some of its interfaces"
	case o == bpf.GuardProgram:
		return "forged frames can reach some of its ipvlan interfaces"
	case c.record.Driver == specs.IPvlan:
		return "frames that some of its ipvlan interfaces send to siblings are not counted"
	}
	return "multicast and broadcast frames of some of its interfaces reach siblings"
}

// removals returns the ways to remove a link of tcx, or a filter of clsact.
func (c *container) removals(tcx bool) (all []removal) {
	if tcx {
		for prefix, o := range map[string]bpf.OwnProgram{"inside": bpf.SiblingProgram, "receiver": bpf.ReceiverProgram,
			"guard": bpf.GuardProgram} {
			if o == bpf.SiblingProgram || o == c.onIngress() {
				all = append(all, removal{"detach " + prefix, o, func() { c.detachLink(prefix) }})
			}
		}
		return all
	}
	const filter = "prio 1 handle 0xbe27 bpf" // bpf/attach_clsact.go
	tc := func(lost bpf.OwnProgram, args string) {
		all = append(all, removal{"tc " + args, lost, func() { c.inTC(args) }})
	}
	for way, lost := range map[string]bpf.OwnProgram{"egress": bpf.SiblingProgram, "ingress": c.onIngress()} {
		tc(lost, "filter del dev net1 "+way+" "+filter)
		tc(lost, "filter del dev net1 "+way+" prio 1")
		tc(lost, "filter del dev net1 "+way)
		tc(lost, "chain del dev net1 "+way+" chain 0")
	}
	tc(bpf.SiblingProgram, "qdisc del dev net1 clsact")
	return append(all, removal{"a move and back", bpf.SiblingProgram, c.moveAndBack})
}

func (c *container) detachLink(prefix string) {
	c.t.Helper()
	l, err := link.LoadPinnedLink(filepath.Join(c.bpffs, "v1", "links", fmt.Sprintf("%s-%d", prefix, c.record.Slot)), nil)
	mustSucceed(c.t, err)
	mustSucceed(c.t, l.Detach())
	mustSucceed(c.t, l.Close())
}

// moveAndBack moves the interface to a namespace of the container's and back.
func (c *container) moveAndBack() {
	c.t.Helper()
	away := testnet.Namespace(c.t)
	testnet.Run(c.t, c.ns, "ip", "link", "set", "net1", "netns", away.Path())
	testnet.Run(c.t, away, "ip", "link", "set", "net1", "netns", c.ns.Path())
}
