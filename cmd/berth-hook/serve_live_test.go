package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/engine/resident"
	"berth/internal/testnet"
	"berth/test/command"
)

// served is a host with a parent, the network lan on it, a service, and the client beside berth-hook.
type served struct {
	*testing.T
	hook, client       string
	dir, state, parent string
	lan                *testnet.NS // the other end of the parent's wire
	service            *exec.Cmd
	killed             int          // how often killDuring killed the service
	log                bytes.Buffer // of the service, after it has ended
}

// newServed starts the service, which logs everything, and defines the network with further text.
func newServed(t *testing.T, network string) *served {
	t.Helper()
	t.Parallel()
	hook, _ := buildPrograms(t)
	s := &served{T: t, hook: hook, client: filepath.Join(filepath.Dir(hook), "berth-hook-client"),
		dir: t.TempDir(), state: "/run/" + testnet.Unique("berth"), parent: testnet.Unique("p"), lan: testnet.Namespace(t)}
	t.Cleanup(func() { os.RemoveAll(s.state) })
	if err := command.HookClient(context.Background(), "../..", filepath.Dir(hook)); err != nil {
		t.Fatal(err)
	}
	testnet.Veth(t, s.parent, testnet.Here(t), "wire", s.lan)
	writeNetwork(t, s.dir, fmt.Sprintf("parent = %q\n%s\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\n", s.parent, network))
	s.startService()
	t.Cleanup(s.stopService)
	return s
}

// startService starts the service with the capabilities of its unit.
func (s *served) startService() {
	s.Helper()
	s.service = exec.Command("setpriv", "--no-new-privs", "--bounding-set", unitCapabilities(s.T),
		s.hook, "serve", "--config", s.dir, "--state", s.state, "--bpffs", s.dir+"/none")
	s.service.Stderr = &s.log
	if err := s.service.Start(); err != nil {
		s.Fatal(err)
	}
	testnet.Eventually(s, "the service listens", func() bool { // a killed one leaves its socket
		conn, err := net.Dial("unix", filepath.Join(s.state, resident.SocketName))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// unitCapabilities returns the capabilities of the service's unit, as setpriv(1) takes them.
func unitCapabilities(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/systemd/berth-hook.service")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\nCapabilityBoundingSet=CAP_")
	line, _, _ := strings.Cut(after, "\n")
	if !found {
		t.Fatal("the unit has no line CapabilityBoundingSet")
	}
	return "-all,+" + strings.ToLower(strings.ReplaceAll(line, " CAP_", ",+"))
}

// stopService ends the service as systemd does.
func (s *served) stopService() {
	s.Helper()
	if s.service == nil {
		return
	}
	_ = s.service.Process.Signal(syscall.SIGTERM) // it may have been killed
	_ = s.service.Wait()
	s.service = nil
}

// withoutHook takes berth-hook away from the client, so that only the service can do the work.
func (s *served) withoutHook() {
	s.Helper()
	if err := os.Remove(filepath.Join(filepath.Dir(s.client), "berth-hook")); err != nil {
		s.Fatal(err)
	}
}

// attach is a run of the client as the hook of a new container.
func (s *served) attach(id string, there *testnet.NS) *exec.Cmd {
	return hookIn(s.T, s.client, s.dir, s.state, id, there)
}

// poststop is a run of the client as the hook of a container that has ended.
func (s *served) poststop(id string) *exec.Cmd {
	cmd := exec.Command(s.client, "--config", s.dir, "--state", s.state, "--bpffs", s.dir+"/none", "poststop")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`{"ociVersion":"1.0.2","id":%q,"status":"stopped","bundle":"/"}`, id))
	return cmd
}

func (s *served) release(id string) {
	s.Helper()
	if out, err := s.poststop(id).CombinedOutput(); err != nil || len(out) > 0 {
		s.Errorf("release of %q: %v: %s", id, err, out)
	}
}

// addresses returns the IPv4 addresses of a container's interface of berth's.
func (s *served) addresses(there *testnet.NS) string {
	s.Helper()
	var all []string
	for line := range strings.Lines(testnet.Run(s, there, "ip", "-4", "-o", "address", "show")) {
		if fields := strings.Fields(line); fields[1] != "lo" {
			all = append(all, fields[3])
		}
	}
	return strings.Join(all, " ")
}

// TestServiceAttaches attaches and releases containers by the service alone.
func TestServiceAttaches(t *testing.T) {
	s := newServed(t, `conflict_timeout = "0s"`)
	s.withoutHook()
	for _, c := range []struct{ id, want string }{
		{"a", "192.0.2.1/24"},
		{"b", "192.0.2.1/24"}, // a has given it back
		{"c", "192.0.2.2/24"},
	} {
		id, there := c.id, testnet.Namespace(t)
		if out, err := s.attach(id, there).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("attach of %q: %v: %s", id, err, out)
		}
		if got := s.addresses(there); got != c.want {
			t.Errorf("container %q has the addresses %q, want %q", id, got, c.want)
		}
		if id == "b" {
			continue
		}
		s.release(id)
		if left := s.addresses(there); left != "" {
			t.Errorf("container %q has %q after its release", id, left)
		}
	}
}

// TestServiceReportsAsTheHook compares what a user reads and the status, with and without the service.
func TestServiceReportsAsTheHook(t *testing.T) {
	s := newServed(t, `conflict_timeout = "0s"`)
	for what, c := range map[string]struct {
		args  []string
		state string
	}{
		"an unknown network":     {nil, `{"id":"c","status":"creating","pid":%d,"bundle":"/","annotations":{"berth/networks":"wan"}}`},
		"no state":               {nil, `hello%.0d`},
		"an unknown stage":       {[]string{"poststart"}, `{}%.0d`},
		"an unknown flag":        {[]string{"--colour"}, `{}%.0d`},
		"its version":            {[]string{"--version"}, `{}%.0d`},
		"a poststop that failed": {[]string{"poststop"}, `hello%.0d`},
	} {
		var results [2]string
		state := fmt.Sprintf(c.state, testnet.Process(t, testnet.Namespace(t)).Pid)
		for i, program := range []string{s.hook, s.client} {
			cmd := exec.Command(program, append([]string{"--config", s.dir, "--state", s.state, "--bpffs", s.dir + "/none"}, c.args...)...)
			cmd.Stdin = strings.NewReader(state)
			out, _ := cmd.CombinedOutput() // its status is compared
			results[i] = fmt.Sprintf("%d %s", cmd.ProcessState.ExitCode(), out)
		}
		if results[0] != results[1] || len(results[0]) < 10 {
			t.Errorf("%s: berth-hook: %s\nthe client: %s", what, results[0], results[1])
		}
	}
}

// TestServiceDeclines requires that a run with directories other than the service's is left to
// berth-hook: with the service alone, the client fails.
func TestServiceDeclines(t *testing.T) {
	s := newServed(t, `conflict_timeout = "0s"`)
	s.withoutHook()
	for _, flag := range []string{"--config", "--bpffs"} {
		there := testnet.Namespace(t)
		cmd := s.attach("c", there)
		cmd.Args = slices.Insert(cmd.Args, len(cmd.Args)-1, flag, t.TempDir()) // before the stage
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "cannot execute berth-hook") {
			t.Errorf("with another %s: %v: %s", flag, err, out)
		}
		if got := s.addresses(there); got != "" {
			t.Errorf("with another %s the container has %q", flag, got)
		}
	}
}

// waitForProbe waits until a container's address is probed for.
func (s *served) waitForProbe(wire *testnet.Sniffer) {
	s.Helper()
	own := testnet.Link(s, testnet.Here(s), s.parent).Attrs().HardwareAddr // of probers
	if wire.Next(time.Minute, func(f []byte) bool { return isProbe(f) && !bytes.Equal(f[6:12], own) }) == nil {
		s.Fatal("no probe was sent")
	}
}

// TestServiceIsKilled kills the service while it probes for an address: the client's berth-hook
// attaches the container, which has one interface.
func TestServiceIsKilled(t *testing.T) {
	s := newServed(t, `conflict_timeout = "2s"`)
	wire, there := testnet.Capture(t, s.lan, "wire"), testnet.Namespace(t)
	cmd := s.attach("c", there)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.waitForProbe(wire)
	if err := s.service.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if got := s.addresses(there); got != "192.0.2.1/24" {
		t.Errorf("the container has the addresses %q, want 192.0.2.1/24", got)
	}
	s.stopService()
	s.startService()
	s.release("c")
	if left := s.addresses(there); left != "" {
		t.Errorf("the container has %q after its release", left)
	}
}

// TestServiceUndoes kills a client while the service probes for its container: nothing is left.
func TestServiceUndoes(t *testing.T) {
	s := newServed(t, `conflict_timeout = "3s"`)
	s.withoutHook()
	wire, there := testnet.Capture(t, s.lan, "wire"), testnet.Namespace(t)
	cmd := s.attach("c", there)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // after the time from which a client is watched
		s.waitForProbe(wire)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	testnet.Eventually(t, "the interface is gone", func() bool {
		return testnet.Run(t, there, "ip", "-o", "link", "show", "type", "macvlan") == ""
	})
	s.stopService()
	if !strings.Contains(s.log.String(), "probe for addresses: context canceled") {
		t.Errorf("the service's log: %s", &s.log)
	}
}

// TestServiceAtOnce attaches 40 containers at once: each has an address of its own, also if a client did
// not wait for the service any longer.
func TestServiceAtOnce(t *testing.T) {
	s := newServed(t, `conflict_timeout = "0s"`)
	const many = 40
	var all []*exec.Cmd
	var spaces []*testnet.NS
	for i := range many {
		spaces = append(spaces, testnet.Namespace(t))
		cmd := s.attach(fmt.Sprint("c", i), spaces[i])
		cmd.Stderr = new(bytes.Buffer)
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for i, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("container %d: %v: %s", i, err, cmd.Stderr)
		}
		seen[s.addresses(spaces[i])] = true
	}
	if len(seen) != many || seen[""] {
		t.Errorf("%d containers have %d addresses: %v", many, len(seen), seen)
	}
	for i := range many {
		s.release(fmt.Sprint("c", i))
	}
}
