package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
)

// web: the page is served to those who have its address, by a program without privileges
// that sees the agent's socket for views alone, also after the agent was restarted.
func web(m *machine) {
	const page = "berth-web.service"
	defer func() {
		if log, err := output("journalctl", "--quiet", "-b", "-o", "cat", "-u", page); m.failed {
			m.logf("%s%v", log, err)
		}
	}()
	base, token, ok := strings.Cut(strings.TrimSpace(m.runCommand("berth", "web")), "/#")
	if !ok {
		m.fatalf("berth web prints %q; want an address with a token", base)
	}
	m.checkWebRights(m.property(page, "MainPID"))
	if m.agentSeen(base, token+"x") == nil {
		m.errorf("the page opens with a wrong token")
	}
	m.wantPage(base, token)
	m.runCommand("systemctl", "restart", unit)
	m.wantPage(base, token)
	m.runCommand("systemctl", "stop", page) // the socket stays, and starts it again
	m.wantPage(base, token)
	if again := strings.TrimSpace(m.runCommand("berth", "web")); again != base+"/#"+token {
		m.errorf("the address changed to %q while the machine runs", again)
	}
	score := strings.Split(strings.TrimSpace(m.runCommand("systemd-analyze", "security", "--threshold=25", page)), "\n")
	m.logf("%s", score[len(score)-1])
	m.runCommand("systemctl", "stop", "berth-web.socket", page)
	m.eventually("berth check runs no longer",
		func() bool { return m.property("berth-check.timer", "ActiveState") == "inactive" })
	if out, err := exec.Command("systemctl", "is-failed", page).Output(); err == nil {
		m.errorf("%s is %s after it was stopped", page, out)
	}
}

// checkWebRights checks the rights of the process of berth-web, and the files of the agent that it
// sees.
func (m *machine) checkWebRights(pid string) {
	status := m.runCommand("cat", "/proc/"+pid+"/status")
	for _, want := range []string{"CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n",
		"Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			m.errorf("no %q in the status of berth-web", want)
		}
	}
	if strings.Contains(status, "Uid:\t0\t") {
		m.errorf("berth-web runs as root")
	}
	const seen = "/root/run/berth"
	m.eventually("the results of berth check are there for the page", func() bool {
		text, err := output("cat", "/proc/"+pid+seen+"/check.json")
		return err == nil && strings.Contains(text, `"subject": "host"`)
	})
	if files := strings.Fields(m.runCommand("ls", "/proc/"+pid+seen)); !slices.Equal(files,
		[]string{"berthd.sock", "check.json"}) {
		m.errorf("berth-web sees %q in /run/berth, want the socket for views and the results of berth check", files)
	}
}

// wantPage waits until the page shows the agent's state.
func (m *machine) wantPage(base, token string) {
	var last error
	m.eventually("the page shows the agent's state", func() bool {
		err := m.agentSeen(base, token)
		if err != nil && (last == nil || err.Error() != last.Error()) {
			m.logf("not yet: %v", err)
		}
		last = err
		return err == nil
	})
}

// agentSeen opens the page as a browser does, and returns nil if its first message has the
// agent's status.
func (m *machine) agentSeen(base, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	session, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/session", nil)
	if err != nil {
		return err
	}
	session.Header.Set("Authorization", "Bearer "+token)
	session.Header.Set("Origin", base)
	answer, err := http.DefaultClient.Do(session)
	if err != nil {
		return err
	}
	answer.Body.Close()
	feed, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/feed", nil)
	if err != nil {
		return err
	}
	for _, cookie := range answer.Cookies() {
		feed.AddCookie(cookie)
	}
	if answer, err = http.DefaultClient.Do(feed); err != nil {
		return err
	}
	defer answer.Body.Close()
	line, err := bufio.NewReader(answer.Body).ReadBytes('\n')
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(line)))
	}
	if err != nil {
		return err
	}
	return agentIsUp(line)
}

// agentIsUp returns nil if a message of the page reports that the agent answers.
func agentIsUp(message []byte) error {
	var first struct {
		Agent struct {
			Up      bool
			Problem string
		}
	}
	if err := json.Unmarshal(message, &first); err != nil {
		return err
	}
	if !first.Agent.Up {
		return fmt.Errorf("the agent is not reached: %s", first.Agent.Problem)
	}
	return nil
}
