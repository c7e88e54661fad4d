package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// upgrade: another version takes over while a container sends, and every frame is
// counted once. The resident hook is of the new version, and its socket was open all the time.
func upgrade(m *machine) {
	type result struct {
		out string
		err error
	}
	const count = 20
	done := make(chan result, 1)
	go func() {
		out, err := output("podman", "exec", "web", "ping", "-q", "-c", fmt.Sprint(count), "-W", "20", gateway)
		done <- result{out, err}
	}()
	before := m.endpoint("web").Counters.Transmit.Total().Packets
	m.eventually("the first pings", func() bool { return m.endpoint("web").Counters.Transmit.Total().Packets > before })
	m.startResident()
	old, oldHook := m.property(unit, "MainPID"), m.property(hookService, "MainPID")
	opened := m.property(hookSocket, "ActiveEnterTimestampMonotonic")
	m.runCommand("dpkg", "-i", "/payload/new.deb")
	r := <-done
	if r.err != nil || !strings.Contains(r.out, fmt.Sprintf("%d packets received", count)) {
		m.errorf("pings during the upgrade: %v: %s", r.err, r.out)
	}
	if m.property(unit, "MainPID") == old {
		m.errorf("the agent of the old version runs on")
	}
	m.wantProperty(hookSocket, "ActiveEnterTimestampMonotonic", opened)
	m.wantProperty(hookService, "ActiveState", "active")
	if m.property(hookService, "MainPID") == oldHook {
		m.errorf("the resident hook of the old version runs on")
	}
	m.attachServed("upgraded")
	m.wantRunning("0") // systemd's count starts again at a manual start
	m.exact("web")
}

// reload: the agent reads its settings again, in the same process.
func reload(m *machine) {
	pid, restarts := m.property(unit, "MainPID"), m.property(unit, "NRestarts")
	m.runCommand("systemctl", "reload", unit)
	m.eventually("the unit is active", func() bool { return m.property(unit, "ActiveState") == "active" })
	m.runCommand("berth", "agent", "status")
	m.wantProperty(unit, "MainPID", pid)
	m.wantProperty(unit, "NRestarts", restarts)
}

// metricsSocket: systemd takes over the metrics address from a running agent, and a
// scrape waits while the agent restarts.
func metricsSocket(m *machine) {
	m.scrape()
	m.runCommand("systemctl", "enable", "--now", "berthd-metrics.socket")
	m.wantProperty("berthd-metrics.socket", "ActiveState", "active")
	m.scrape()
	m.eventually("the agent is active", func() bool { return m.property(unit, "ActiveState") == "active" })
	m.runCommand("systemctl", "stop", unit)
	m.scrape() // the connection starts the agent
	m.eventually("the scrape has started the agent", func() bool { return m.property(unit, "ActiveState") == "active" })
	drop := "/run/systemd/system/berthd-metrics.socket.d/address.conf"
	text := "[Socket]\nListenStream=\nListenStream=127.0.0.1:9478\n"
	if err := os.MkdirAll("/run/systemd/system/berthd-metrics.socket.d", 0o755); err != nil {
		m.fatalf("%v", err)
	}
	if err := os.WriteFile(drop, []byte(text), 0o644); err != nil {
		m.fatalf("%v", err)
	}
	m.runCommand("systemctl", "daemon-reload")
	m.runCommand("systemctl", "restart", "berthd-metrics.socket")
	m.scrapeAt("127.0.0.1:9478")
}

func (m *machine) scrape() { m.scrapeAt("127.0.0.1:9477") }

func (m *machine) scrapeAt(address string) {
	client := http.Client{Timeout: time.Minute}
	answer, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		m.fatalf("scrape: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(text), "berth_build_info") {
		m.errorf("scrape: %v: %s", err, text)
	}
}
