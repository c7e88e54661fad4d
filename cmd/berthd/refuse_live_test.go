package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/state"
	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

// patience bounds the time in which an agent must end by itself.
const patience = 2 * time.Minute

// refusalOf runs an agent that must not start, and returns its error line.
func (l *lab) refusalOf(cmd *exec.Cmd) string {
	l.t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, patience // for a child that keeps the pipe
	var err error
	testnet.In(l.t, l.host, func() { err = cmd.Start() })
	mustSucceed(l.t, err)
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() }) // it runs, and should not
	err = cmd.Wait()
	late.Stop()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
		l.t.Fatalf("berthd ended with %v, want status 1:\n%s", err, &stderr)
	}
	line, rest, _ := strings.Cut(stderr.String(), "\n")
	if rest != "" {
		l.t.Errorf("berthd stderr more than a line:\n%s", &stderr)
	}
	return line
}

func TestSecondAgentIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a := l.startAgent()
	want := fmt.Sprintf("berthd: state directory %q: another agent is running (pid %d); stop it, or start this one with another --state",
		filepath.Join(l.state, "state"), a.cmd.Process.Pid)
	if got := l.refusalOf(l.agentCommand("--metrics", "")); got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
	l.agentStatus() // the first one still runs
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	address := l.listen().Addr().String()
	elsewhere := filepath.Join(filepath.Dir(l.state), "not-bpf")
	readOnly := filepath.Join(filepath.Dir(l.state), "ro")
	mustSucceed(t, os.Mkdir(readOnly, 0o755))
	mustSucceed(t, os.MkdirAll(l.state, 0o711))
	const all = "; run it as root, or set AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_NET_BROADCAST in its unit"
	const noBPFFS = `: not on a BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf`
	for name, c := range map[string]struct {
		cmd  *exec.Cmd
		want string
	}{
		"port taken": {l.agentCommand("--metrics", address),
			fmt.Sprintf(`listen for metrics at %q: listen tcp %s: bind: address already in use: another process listens there; choose another address with --metrics, or "" to listen nowhere`, address, address)},
		"foreign address": {l.agentCommand("--metrics", "192.0.2.77:9477"),
			`listen for metrics at "192.0.2.77:9477": listen tcp 192.0.2.77:9477: bind: cannot assign requested address: no interface of this host has that address; choose another with --metrics`},
		"no address": {l.agentCommand("--metrics", "9477"),
			`listen for metrics at "9477": listen tcp: address 9477: missing port in address: write --metrics as HOST:PORT, such as 127.0.0.1:9477`},
		"low port": {l.agentCommand("--metrics", "127.0.0.1:80"),
			`listen for metrics at "127.0.0.1:80": listen tcp 127.0.0.1:80: bind: permission denied: choose a port from 1024 on with --metrics, or give berthd's unit CAP_NET_BIND_SERVICE`},
		"no bpffs":          {l.agentCommand("--metrics", "", "--bpffs", elsewhere), fmt.Sprintf("directory of pinned objects %q", elsewhere) + noBPFFS},
		"bpffs not mounted": {l.preparedCommand("unmount /sys/fs/bpf"), fmt.Sprintf("directory of pinned objects %q", l.bpffs) + noBPFFS},
		"bpffs not writable": {l.preparedCommand("all-read-only " + l.state),
			fmt.Sprintf("create the directory of pinned objects: mkdir %s: read-only file system: the BPF file system must be writable; in berthd's unit set "+
				"ReadWritePaths=/sys/fs/bpf and remove ProtectKernelTunables=, or name a directory of another BPF file system with --bpffs", l.bpffs)},
		"no CAP_BPF":       {l.preparedCommand(fmt.Sprint("drop ", unix.CAP_BPF)), "not enough privilege: berthd needs CAP_BPF" + all},
		"no CAP_NET_ADMIN": {l.preparedCommand(fmt.Sprint("drop ", unix.CAP_NET_ADMIN)), "not enough privilege: berthd needs CAP_NET_ADMIN" + all},
		"no CAP_PERFMON":   {l.preparedCommand(fmt.Sprint("drop ", unix.CAP_PERFMON)), "not enough privilege: berthd needs CAP_PERFMON" + all},
		"state not writable": {l.preparedCommand("read-only "+readOnly, "--state", readOnly+"/berth"),
			fmt.Sprintf("make directory %q: read-only file system: name a writable directory with --state", readOnly+"/berth")},
	} {
		if got := l.refusalOf(c.cmd); got != "berthd: "+c.want {
			t.Errorf("%s: stderr %q, want %q", name, got, c.want)
		}
	}
	for _, made := range []string{elsewhere, l.bpffs} {
		if _, err := os.Stat(made); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want it not made", made, err)
		}
	}
}

func TestUnknownGroupIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.agentConfig(`socket_group = "nonesuch"`)
	const want = "berthd: socket_group under [agent] in berth.toml: group: unknown group nonesuch: create the group, or correct socket_group under [agent] in berth.toml"
	if got := l.refusalOf(l.agentCommand("--metrics", "")); got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

// TestSecondAgentOfPinnedMapsIsRefused: two agents with different state directories would
// remove each other's programs from the parents.
func TestSecondAgentOfPinnedMapsIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	other := l.agentCommand("--metrics", "", "--state", l.state+"-2")
	want := fmt.Sprintf("berthd: directory of pinned objects %q: another agent is running (pid %d); stop it, or start this one with another --bpffs",
		l.bpffs, a.cmd.Process.Pid)
	if got := l.refusalOf(other); got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
	web.sendFrames(3)
	web.waitSent(3)
	a.stopAgent(syscall.SIGKILL)
	l.startAgent() // the lock was freed with its holder
	mustSucceed(t, l.client.Detach(t.Context(), true))
	mustSucceed(t, l.client.Attach(t.Context()))
	if got := l.refusalOf(l.agentCommand("--metrics", "", "--state", l.state+"-2")); !strings.Contains(got, "another agent is running") {
		t.Errorf("after a purge stderr %q", got)
	}
}

func TestBrokenConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	file := filepath.Join(l.config, "berth.toml")
	mustSucceed(t, os.WriteFile(file, []byte("[agent]\nattach = \"xdp\"\n"), 0o644))
	want := fmt.Sprintf(`berthd: %s: agent.attach "xdp": want auto, tcx or clsact`, file)
	if got := l.refusalOf(l.agentCommand("--metrics", "")); got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

// wantCaps are CAP_NET_BROADCAST (11), CAP_NET_ADMIN (12), CAP_PERFMON (38) and CAP_BPF
// (39), and no more.
const wantCaps = "000000c000001800"

func TestKeepsFewCapabilities(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a := l.startAgent()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	mustSucceed(t, err)
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		wantLine(t, string(text), set+":\t"+wantCaps)
	}
	wantLine(t, string(text), "NoNewPrivs:\t1")
}

func TestNotifiesReady(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	path := filepath.Join(filepath.Dir(l.state), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	mustSucceed(t, err)
	defer conn.Close()
	cmd := l.agentCommand("--metrics", "")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path)
	testnet.In(t, l.host, func() { mustSucceed(t, cmd.Start()) })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	hear := func(want string) {
		t.Helper()
		buf := make([]byte, 100)
		mustSucceed(t, conn.SetReadDeadline(time.Now().Add(2*time.Minute)))
		n, err := conn.Read(buf)
		mustSucceed(t, err)
		if string(buf[:n]) != want {
			t.Errorf("told %q, want %q", buf[:n], want)
		}
	}
	hear("READY=1")
	if s := l.agentStatus(); s.Metrics != "" {
		t.Errorf("metrics at %q, want none", s.Metrics)
	}
	mustSucceed(t, cmd.Process.Signal(os.Interrupt))
	hear("STOPPING=1")
	select {
	case err := <-ended:
		mustSucceed(t, err)
	case <-time.After(patience):
		t.Fatal("berthd did not end within 2 minutes")
	}
}

// slotOf returns the counter slot in a container's record, or 0 if it is drained.
func (l *lab) slotOf(id string) (slot uint32) {
	l.t.Helper()
	mustSucceed(l.t, l.store.View(l.t.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Attachments() {
			if err != nil {
				return err
			}
			if a.Containers[0] == id {
				slot = a.Slot
			}
		}
		return nil
	}))
	return slot
}

func TestFollowsItsConfiguration(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a := l.startAgent()
	mustSucceed(t, os.MkdirAll(l.config, 0o755))
	file := filepath.Join(l.config, "berth.toml")
	for text, want := range map[string]string{
		"[agent]\nmax_endpoints = 10\n": "berth.toml: max_endpoints under [agent] changed; restart berthd to apply it",
		"[agent]\nmax_endpoints = 0\n":  file + `: agent.max_endpoints "0": want 1 to 65536`,
	} {
		mustSucceed(t, os.WriteFile(file, []byte(text), 0o644))
		testnet.Eventually(t, want, func() bool {
			problems := l.agentStatus().Problems
			return len(problems) == 1 && problems[0] == want
		})
	}
	web := l.attachContainer("web", 1)
	web.sendFrames(1)
	mustSucceed(t, web.newReleaser().Container(t.Context(), "web"))
	testnet.Eventually(t, "final counts", func() bool { return l.slotOf("web") == 0 })
	if !strings.Contains(a.scrapeMetrics(), `container_id="web"`) {
		t.Error("an ended container is not shown, want it as long as keep_ended says")
	}
	mustSucceed(t, os.WriteFile(file, []byte("[agent]\nkeep_ended = \"1ms\"\n"), 0o644))
	testnet.Eventually(t, "an ended container that is no longer shown", func() bool {
		return !strings.Contains(a.scrapeMetrics(), `container_id="web"`)
	})
}
