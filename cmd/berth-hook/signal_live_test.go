package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/engine/entry"
	"berth/internal/testnet"
)

// TestSignalWhileWaiting ends a hook by SIGTERM while it probes for an address: it undoes the attach. Its third
// probe is sent three times as late as signals are handled from. On a machine so slow that the signal comes before
// all the same, it ends the hook, and another one is tried.
func TestSignalWhileWaiting(t *testing.T) {
	t.Parallel()
	hook, _ := buildPrograms(t)
	for range 20 {
		if signalWaiting(t, hook) {
			return
		}
	}
	t.Fatal("every hook ended by the signal")
}

// signalWaiting starts a hook and ends it. handled is false if the signal ended it at once.
func signalWaiting(t *testing.T, hook string) (handled bool) {
	t.Helper()
	dir, parent, state := t.TempDir(), testnet.Unique("p"), "/run/"+testnet.Unique("berth")
	lan, there := testnet.Namespace(t), testnet.Namespace(t)
	testnet.Veth(t, parent, testnet.Here(t), "wire", lan)
	writeNetwork(t, dir, fmt.Sprintf("parent = %q\nconflict_timeout = \"10s\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\n", parent))
	own := testnet.Link(t, testnet.Here(t), parent).Attrs().HardwareAddr // of probers
	cmd := hookIn(t, hook, dir, state, "c", there)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	wire := testnet.Capture(t, lan, "wire")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if wire.Next(time.Minute, func(f []byte) bool { return isProbe(f) && !bytes.Equal(f[6:12], own) }) == nil {
			_ = cmd.Process.Kill()
			t.Fatalf("probe %d was not sent: %s", n+1, &stderr)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return false
	}
	if err == nil || status.ExitStatus() != 1 || !strings.Contains(stderr.String(), "probe for addresses") {
		t.Errorf("%v: %s; want status 1, and the step that was stopped", err, &stderr)
	}
	if left := testnet.Run(t, there, "ip", "-o", "link", "show", "type", "macvlan"); left != "" {
		t.Errorf("left in the container: %s", left)
	}
	return true
}

// isProbe reports whether a frame is a probe for an IPv4 address: an ARP request without a sender's.
func isProbe(f []byte) bool {
	return len(f) >= 42 && f[12] == 8 && f[13] == 6 && bytes.Equal(f[28:32], []byte{0, 0, 0, 0})
}

// writeNetwork writes the file of the network lan.
func writeNetwork(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.MkdirAll(dir+"/networks.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/networks.d/lan.toml", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// hookIn is a hook that attaches a container, whose process runs in a namespace, to the network lan.
func hookIn(t *testing.T, hook, dir, state, id string, there *testnet.NS) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(hook, "--config", dir, "--state", state, "--bpffs", dir+"/none", "createRuntime")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(
		`{"ociVersion":"1.0.2","id":%q,"status":"creating","pid":%d,"bundle":"/","annotations":{"berth/networks":"lan"}}`,
		id, testnet.Process(t, there).Pid))
	cmd.Env = entry.Env()
	return cmd
}
