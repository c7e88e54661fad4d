package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// TestRunsWithoutBTF: the agent runs on a kernel without BTF, as nothing is relocated.
func TestRunsWithoutBTF(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.launchReady(l.preparedCommand("hide /sys/kernel/btf"))
	web := l.attachContainer("web", 1)
	web.sendFrames(2)
	web.waitSent(2)
}

// TestWaysToAttach: without tcx in the kernel, auto uses clsact, and tcx fails with the remedy.
func TestWaysToAttach(t *testing.T) {
	t.Parallel()
	has := hasTCX(t)
	for attach, way := range map[string]string{"auto": map[bool]string{true: "tcx", false: "clsact"}[has], "tcx": "tcx", "clsact": "clsact"} {
		l := newLab(t)
		l.writeNetwork("lan", lanFile)
		l.agentConfig(fmt.Sprintf("attach = %q", attach))
		a := l.startAgent()
		if attach == "tcx" && !has {
			const want = `kernels before 6.6 have no tcx; set attach = "auto" under [agent] in berth.toml`
			if p := l.parentIs(parent, specs.ParentFailed); !strings.HasSuffix(p.Problem, want) {
				t.Errorf("problem %q, want %q", p.Problem, want)
			}
			continue
		}
		if p := l.parentIs(parent, specs.ParentCounting); p.Attach != way {
			t.Errorf("%s: attached by %q, want %q", attach, p.Attach, way)
		}
		wantLine(t, a.scrapeMetrics(), fmt.Sprintf("berth_agent_attached_programs{kind=%q} 2", way))
	}
}

// hasTCX reports whether a program can be attached by tcx here.
func hasTCX(t *testing.T) bool {
	t.Helper()
	testnet.Need(t, testnet.Root)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}})
	mustSucceed(t, err)
	defer p.Close()
	const loopback = 1
	l, err := link.AttachTCX(link.TCXOptions{Interface: loopback, Program: p, Attach: ebpf.AttachTCXIngress})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return false
	}
	mustSucceed(t, err)
	mustSucceed(t, l.Close())
	return true
}
