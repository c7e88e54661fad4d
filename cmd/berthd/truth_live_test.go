package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// askReadyz returns the answer to GET /readyz.
func (l *lab) askReadyz() (status int, body string) {
	l.t.Helper()
	return l.getBySocket("/readyz")
}

// getBySocket returns the answer to a GET on the agent's socket.
func (l *lab) getBySocket(path string) (status int, body string) {
	l.t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(l.state, "berthd.sock"))
	}
	answer, err := (&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}).Get("http://berthd" + path)
	mustSucceed(l.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	mustSucceed(l.t, err)
	return answer.StatusCode, string(text)
}

// answersFailed fails the test unless the next answers of status and readyz report, in
// these words, that frames may pass uncounted.
func (l *lab) answersFailed(words ...string) {
	l.t.Helper()
	code, body := l.askReadyz()
	p := l.onlyParent()
	if code != http.StatusServiceUnavailable || p.State != specs.ParentFailed {
		l.t.Errorf("readyz %d %s, parent %+v", code, body, p)
	}
	for _, w := range words {
		if !strings.Contains(p.Problem, w) || !strings.Contains(body, strings.ReplaceAll(w, `"`, `\"`)) {
			l.t.Errorf("problem %q, readyz %s: want %q in both", p.Problem, body, w)
		}
	}
	_, metrics := l.getBySocket("/metrics")
	wantLine(l.t, metrics, "berth_agent_parents_failed 1")
}

// answersCounting requires the opposite.
func (l *lab) answersCounting(what string) {
	l.t.Helper()
	code, body := l.askReadyz()
	if p := l.onlyParent(); code != http.StatusOK || p.State != specs.ParentCounting {
		l.t.Errorf("%s: readyz %d %s, parent %+v", what, code, body, p)
	}
	_, metrics := l.getBySocket("/metrics")
	wantLine(l.t, metrics, "berth_agent_parents_failed 0")
}

func (l *lab) loadProgram(name string, kind ebpf.ProgramType, verdict int32) *ebpf.Program {
	l.t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: kind, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()}})
	mustSucceed(l.t, err)
	l.t.Cleanup(func() { mustSucceed(l.t, p.Close()) })
	return p
}

func (l *lab) inHost(fn func() error) {
	l.t.Helper()
	var err error
	testnet.In(l.t, l.host, func() { err = fn() })
	mustSucceed(l.t, err)
}

// TestStatusIsTrue attaches others' programs before berth's while the agent runs: the very
// next answers report it, and that all is well once they are gone.
func TestStatusIsTrue(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	l.answersCounting("at first")
	index := testnet.Link(t, l.host, parent).Attrs().Index
	if hasTCX(t) {
		p := l.loadProgram("theirs", ebpf.SchedCLS, 0)
		for _, at := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
			var theirs link.Link
			l.inHost(func() (err error) {
				theirs, err = link.AttachTCX(link.TCXOptions{Interface: index, Program: p, Attach: at, Anchor: link.Head()})
				return err
			})
			l.answersFailed("frames may pass uncounted", "tcx", `"theirs"`, "berth agent detach")
			mustSucceed(t, theirs.Close())
			testnet.Eventually(t, "nothing ahead", func() bool { return l.onlyParent().State == specs.ParentCounting })
		}
	}
	xdp := l.loadProgram("steals", ebpf.XDP, 2)
	eth1 := testnet.Link(t, l.host, parent)
	l.inHost(func() error { return netlink.LinkSetXdpFdWithFlags(eth1, xdp.FD(), unix.XDP_FLAGS_SKB_MODE) })
	l.answersFailed("XDP (generic)", `"steals"`)
	l.inHost(func() error { return netlink.LinkSetXdpFdWithFlags(eth1, -1, unix.XDP_FLAGS_SKB_MODE) })
	l.answersCounting("without XDP")
}

// TestStatusByClsact does the same by clsact, in which the kernel runs filters in the order
// of their preference.
func TestStatusByClsact(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.agentConfig(`attach = "clsact"`)
	testnet.Run(t, l.host, "tc", "qdisc", "add", "dev", parent, "clsact")
	filter := []string{"dev", parent, "egress", "prio", "1", "protocol", "ip", "u32", "match", "u32", "0", "0"}
	testnet.Run(t, l.host, "tc", append([]string{"filter", "add"}, filter...)...)
	l.startAgent()
	l.answersFailed("egress filter u32 at preference 1")
	testnet.Run(t, l.host, "tc", "filter", "del", "dev", parent, "egress", "prio", "1")
	l.answersCounting("without that filter")
	testnet.Run(t, l.host, "tc", "qdisc", "del", "dev", parent, "clsact")
	l.answersCounting("attached again")
	web := l.attachContainer("web", 1)
	web.sendFrames(3)
	web.waitSent(3)
	testnet.Eventually(t, "an ingress qdisc in clsact's place", func() (done bool) {
		testnet.In(t, l.host, func() { // the agent may restore clsact between the two
			done = exec.Command("tc", "qdisc", "del", "dev", parent, "clsact").Run() == nil &&
				exec.Command("tc", "qdisc", "add", "dev", parent, "ingress").Run() == nil
		})
		return done
	})
	l.answersFailed(`of kind "ingress"`, "tc qdisc del dev "+parent+" ingress")
	testnet.Run(t, l.host, "tc", "qdisc", "del", "dev", parent, "ingress")
	l.answersCounting("without that qdisc")
	web.sendFrames(2)
	web.waitSent(5)
}

// TestFiltersRemovedAtRest removes berth's filters, and their qdisc, again and again from an agent that is
// not asked for its status. If the agent noticed it only at its inspections, which are 5 s apart, it would
// restore the last of n removals after (n-1) × 5 s or more.
func TestFiltersRemovedAtRest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.agentConfig(`attach = "clsact"`)
	l.startAgent()
	l.answersCounting("at first")
	removals := [][]string{
		{"qdisc", "del", "dev", parent, "clsact"},
		{"filter", "del", "dev", parent, "egress"},
		{"filter", "del", "dev", parent, "ingress"},
		{"filter", "del", "dev", parent, "ingress", "prio", "1", "handle", "0xbe27", "bpf"},
		{"qdisc", "del", "dev", parent, "clsact"},
	}
	began := time.Now()
	for _, removal := range removals {
		testnet.Run(t, l.host, "tc", removal...)
		testnet.Eventually(t, "the filters after tc "+strings.Join(removal, " "), func() bool {
			ingress := testnet.Run(t, l.host, "tc", "filter", "show", "dev", parent, "ingress")
			egress := testnet.Run(t, l.host, "tc", "filter", "show", "dev", parent, "egress")
			return strings.Contains(ingress, "berth-ingress") && strings.Contains(egress, "berth-egress")
		})
	}
	const inspection = 5 * time.Second
	if took := time.Since(began); took >= time.Duration(len(removals)-1)*inspection {
		t.Errorf("%d removals were restored within %s, so not at once", len(removals), took)
	}
	l.answersCounting("in the end")
}

// TestPinsRemovedAtRest removes pins again and again from an otherwise idle agent: it pins
// them again, and no frame is uncounted.
func TestPinsRemovedAtRest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachContainer("web", 1)
	sent := 0
	for _, remove := range []string{"", "", "v1", "v1/links", "v1/links", "v1/sources", ""} {
		l.removePins(remove)
		web.sendFrames(2)
		sent += 2
		testnet.Eventually(t, "the pins", func() bool {
			links, err := os.ReadDir(filepath.Join(l.bpffs, "v1", "links"))
			_, source := os.Stat(filepath.Join(l.bpffs, "v1", "sources"))
			return err == nil && source == nil && (len(links) == 2 || !hasTCX(t))
		})
		web.sendFrames(1)
		sent++
		web.waitSent(uint64(sent))
	}
	l.answersCounting("in the end")
}

// TestNoSlotIsNotCounting has more containers than slots.
func TestNoSlotIsNotCounting(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.agentConfig("max_endpoints = 1")
	l.startAgent()
	web := l.attachContainer("web", 1)
	l.answersCounting("one")
	web.record.Slot = 2
	web.recordAttachment(nil)
	l.answersFailed("interfaces are not counted", "max_endpoints")
}

// TestDeletedInterfaceLacksNothing deletes the interface of a network that enforces rules. It
// lacks the sibling program while it exists, and not between its end and its release.
func TestDeletedInterfaceLacksNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachAs("web", 1, func(at *state.Attachment) {
		at.Mode, at.Enforce = specs.ModeBridge, []specs.Kind{specs.MACSpoof}
	})
	l.answersFailed("multicast and broadcast frames of some of its interfaces reach siblings")
	mustSucceed(t, testnet.Netlink(t, web.ns).LinkDel(testnet.Link(t, web.ns, web.record.Interface)))
	l.answersCounting("the interface is deleted")
}

// TestMissingReceiverProgram has an interface without the receiver program. It matters once a
// container of a network that enforces rules is on the same parent.
func TestMissingReceiverProgram(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	attach := func(c *container, programs ...bpf.OwnProgram) {
		t.Helper()
		maps, err := bpf.Open(l.bpffs)
		mustSucceed(t, err)
		defer maps.Close()
		testnet.In(t, c.ns, func() {
			for _, o := range programs {
				mustSucceed(t, maps.AttachInside(o, release.Endpoint(c.record)))
			}
		})
	}
	open := l.attachContainer("open", 1)
	l.answersCounting("nothing is enforced")
	strict := l.attachAs("strict", 2, func(at *state.Attachment) { at.Enforce = []specs.Kind{specs.MACSpoof} })
	attach(strict, bpf.SiblingProgram, bpf.ReceiverProgram)
	l.answersFailed("forged multicast and broadcast frames can reach some of its interfaces")
	attach(open, bpf.ReceiverProgram)
	l.answersCounting("every interface has its programs")
}
