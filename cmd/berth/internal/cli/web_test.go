package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// useSystemctl replaces systemctl by a script, and the file with the page's address.
func (w *world) useSystemctl(script string) {
	w.t.Helper()
	w.env.systemctl, w.env.webAddress = filepath.Join(w.dir, "systemctl"), filepath.Join(w.dir, "address")
	if err := os.WriteFile(w.env.systemctl, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func TestWebPrintsTheAddress(t *testing.T) {
	const address = "http://127.0.0.1:9478/#token"
	w := newWorld(t)
	w.useSystemctl(`[ "$*" = "start berth-web.service" ] && echo '` + address + `' >` + filepath.Join(w.dir, "address"))
	if got := w.mustRun("web"); got != address+"\n" {
		t.Errorf("output %q, want the address that the unit has stored", got)
	}
	if !strings.Contains(w.err.String(), "systemctl start berthd") {
		t.Errorf("without an agent it warns %q", &w.err)
	}
}

func TestWebFailures(t *testing.T) {
	w := newWorld(t)
	for script, want := range map[string]string{
		"echo 'Unit berth-web.service not found.' >&2; exit 5": "the unit is missing; copy deploy/systemd",
		"echo 'Job failed.' >&2; exit 1":                       "exit status 1: Job failed.",
		"exit 0":                                               "journalctl -u berth-web",
	} {
		w.useSystemctl(script)
		if code := w.runMain("web"); code != exitFailed || !strings.Contains(w.err.String(), want) {
			t.Errorf("systemctl %q: exit %d, %q; want %q", script, code, &w.err, want)
		}
	}
	w.env.systemctl = filepath.Join(w.dir, "no-such-program")
	if code := w.runMain("web"); code != exitFailed || !strings.Contains(w.err.String(), "run berth-web") {
		t.Errorf("without systemctl: exit %d, %q", code, &w.err)
	}
	w.env.euid = func() int { return 1000 }
	if code := w.runMain("web"); code != exitFailed || !strings.Contains(w.err.String(), "run as root") {
		t.Errorf("as a user: exit %d, %q", code, &w.err)
	}
}
