package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

// confinedCommand returns the agent as the unit runs it: with its capabilities, mounts and system
// calls.
func (l *lab) confinedCommand(t *testing.T) *exec.Cmd {
	t.Helper()
	u := readUnit(t, unitFile)
	filter := filepath.Join(filepath.Dir(l.state), "filter")
	mustSucceed(t, os.WriteFile(filter, filterOf(t, u), 0o600))
	mustSucceed(t, os.MkdirAll(l.state, 0o711))
	caps := ""
	for _, name := range u.directiveWords("CapabilityBoundingSet") {
		c, ok := map[string]int{"CAP_BPF": unix.CAP_BPF, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_PERFMON": unix.CAP_PERFMON, "CAP_NET_BROADCAST": unix.CAP_NET_BROADCAST}[name]
		if !ok {
			t.Fatalf("capability %q", name)
		}
		caps += fmt.Sprint(" ", c)
	}
	writable := append(u.directiveWords("ReadWritePaths"), l.state)
	cmd := l.preparedCommand("all-read-only "+strings.Join(writable, " ")+"\nkeep"+caps, "--metrics", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, sandbox+"="+filter)
	return cmd
}

// TestRunsAsTheUnitConfinesIt requires that everything the agent does works under the unit's sandboxing.
func TestRunsAsTheUnitConfinesIt(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	half := l.attachContainer("half", 9) // its hook died: the agent deletes the interface
	half.record.Phase = specs.PhaseAttaching
	half.recordAttachment(nil)
	a := l.launchReady(l.confinedCommand(t))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	mustSucceed(t, err)
	for _, line := range []string{"CapEff:\t" + wantCaps, "CapBnd:\t" + wantCaps, "NoNewPrivs:\t1", "Seccomp:\t2"} {
		wantLine(t, string(status), line)
	}
	testnet.Eventually(t, "the released interface", func() bool { return len(linkNames(t, half.ns)) == 1 })
	web := l.attachContainer("web", 1)
	web.sendFrames(4)
	web.waitSent(4)
	wantLine(t, a.scrapeMetrics(), `berth_network_transmit_packets_total{container_id="web",interface="net1",network="lan",parent="eth1"} 4`)
	web.forgeFrames([6]byte{2, 0, 0x5e, 0, 0x53, 0x66}, 2)
	testnet.Eventually(t, "violations", func() bool { return l.endpointOf("web").Violations[specs.MACSpoof] == 2 })
	mustSucceed(t, web.newReleaser().Container(t.Context(), "web"))
	testnet.Eventually(t, "final counts", func() bool { return l.slotOf("web") == 0 })
	mustSucceed(t, l.client.Detach(t.Context(), true))
	mustSucceed(t, l.client.Attach(t.Context()))
	if p := l.parentIs(parent, specs.ParentCounting); p.Attach == "" {
		t.Errorf("parent %+v", p)
	}
	if problems := l.agentStatus().Problems; len(problems) > 0 {
		t.Errorf("problems %q", problems)
	}
	if log := a.log.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log complains:\n%s", log)
	}
	a.stopAgent(syscall.SIGTERM)
}

// linkNames returns the interfaces of a namespace.
func linkNames(t *testing.T, ns *testnet.NS) (names []string) {
	t.Helper()
	links, err := testnet.Netlink(t, ns).LinkList()
	mustSucceed(t, err)
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	return names
}

// probe is the environment variable that makes the test binary print the results of some
// system calls.
const probe = "BERTHD_PROBE"

func probeCalls() {
	call := func(name string, number, a, b, c uintptr) {
		_, _, errno := unix.Syscall6(number, a, b, c, 0x22, ^uintptr(0), 0) // the rest is for mmap: private, anonymous
		fmt.Println(name, int(errno))
	}
	call("unix", unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	call("netlink", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, 0)
	call("packet", unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0)
	call("unshare", unix.SYS_UNSHARE, unix.CLONE_NEWNET, 0, 0)
	call("mount", unix.SYS_MOUNT, 0, 0, 0)
	call("executable", unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC)
}

// TestTheSandboxHolds requires that the filter blocks the system calls that it must block.
func TestTheSandboxHolds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	filter := filepath.Join(filepath.Dir(l.state), "filter")
	mustSucceed(t, os.WriteFile(filter, filterOf(t, readUnit(t, unitFile)), 0o600))
	cmd := l.agentCommand("--version")
	cmd.Env = append(cmd.Env, sandbox+"="+filter, probe+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const want = "unix 0\nnetlink 0\npacket 1\nunshare 1\nmount 1\nexecutable 1\n"
	if string(out) != want {
		t.Errorf("system calls answered\n%swant\n%s", out, want)
	}
}
