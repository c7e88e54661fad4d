package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

// TestEventsFile requires that events are written to the file in berth.toml, including
// those of the last moment.
func TestEventsFile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	path := filepath.Join(filepath.Dir(l.state), "events.jsonl")
	l.agentConfig("events_file = '" + path + "'")
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	web.forgeFrames([6]byte{2, 0, 0x5e, 0, 0x53, 0x66}, 1)
	testnet.Eventually(t, "the event in the file", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && bytes.Count(text, []byte("\n")) == 1
	})
	var e specs.Event
	mustSucceed(t, json.Unmarshal(readFile(t, path), &e))
	if e.Kind != specs.MACSpoof || e.Sender == nil || e.Sender.ContainerID != "web" {
		t.Errorf("event %+v", e)
	}
	web.runIP("addr", "add", "192.0.2.99/24", "dev", "net1")
	l.waitEvents("web", specs.AddressDrift, 1)
	a.stopAgent(unix.SIGTERM)
	if text := string(readFile(t, path)); strings.Count(text, "\n") != 2 || !strings.Contains(text, `"kind":"address-drift"`) {
		t.Errorf("the file has\n%s", text)
	}
}

// TestEventsFileFails requires that an unwritable file is reported once, and affects nothing else.
func TestEventsFileFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	l.agentConfig("events_file = '/proc/none/events.jsonl'")
	a := l.startAgent()
	web := l.attachContainer("web", 1)
	for range 3 {
		web.forgeFrames([6]byte{2, 0, 0x5e, 0, 0x53, 0x66}, 1)
	}
	testnet.Eventually(t, "violations", func() bool { return l.endpointOf("web").Violations[specs.MACSpoof] == 3 })
	testnet.Eventually(t, "a line in the log", func() bool { return strings.Contains(a.log.String(), "events are not written") })
	if n := strings.Count(a.log.String(), "events are not written"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	if problems := strings.Join(l.agentStatus().Problems, "\n"); !strings.Contains(problems, "events are not written to /proc/none/events.jsonl") {
		t.Errorf("the status has the problems %q", problems)
	}
}

// TestEventsJournal reads the journal's own protocol. Not in parallel: all agents of this
// test binary would write to its socket.
func TestEventsJournal(t *testing.T) {
	l := newLab(t)
	mustSucceed(t, os.MkdirAll("/run/systemd/journal", 0o755))
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/run/systemd/journal/socket", Net: "unixgram"})
	mustSucceed(t, err)
	defer func() {
		conn.Close()
		os.RemoveAll("/run/systemd")
	}()
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	web := l.attachContainer("web", 1)
	web.runIP("addr", "add", "192.0.2.99/24", "dev", "net1")
	buf := make([]byte, 1<<16)
	mustSucceed(t, conn.SetReadDeadline(time.Now().Add(2*time.Minute)))
	n, err := conn.Read(buf)
	mustSucceed(t, err)
	for _, field := range []string{"BERTH_KIND=address-drift", "BERTH_SENDER_NAME=web-name", "SYSLOG_IDENTIFIER=berthd", "PRIORITY=4", "BERTH_PARENT=eth1"} {
		wantLine(t, string(buf[:n]), field)
	}
}
