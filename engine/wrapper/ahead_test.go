package wrapper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// probed waits for the prober's arguments, which the hook's script writes.
func (p *place) probed(t *testing.T) string {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(p.dir, "hooked")); err == nil && strings.Contains(string(text), "PWD") {
			return string(text)
		}
	}
	t.Fatal("no prober was started")
	return ""
}

func TestStartsAProber(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	run := filepath.Join(p.dir, "run")
	must(t, os.MkdirAll(filepath.Join(run, "state"), 0o700))
	p.write(t, `{"annotations":{"berth/networks":"lan"}}`)
	p.runWrapper(t, "create", "web").becameRuntime(t, p, "create web")
	text := p.probed(t)
	if want := "berth-hook ahead  " + run + " " + p.config() + "\n"; !strings.Contains(text, want) {
		t.Errorf("the prober was started as %q, want %q", text, want)
	}
	if strings.Contains(text, "OF_THE_ENGINE") {
		t.Errorf("the prober has the engine's environment: %s", text)
	}
}

func TestNeedsProber(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	if needsProber(state) {
		t.Error("no database, and a prober is needed")
	}
	must(t, os.Mkdir(filepath.Join(state, "state"), 0o700))
	if !needsProber(state) {
		t.Error("none has worked, and no prober is needed")
	}
	stamp := filepath.Join(state, probedName)
	must(t, os.WriteFile(stamp, nil, 0o600))
	for age, want := range map[time.Duration]bool{0: false, 14 * time.Second: false, 16 * time.Second: true, -time.Hour: true} {
		at := time.Now().Add(-age)
		must(t, os.Chtimes(stamp, at, at))
		if needsProber(state) != want {
			t.Errorf("one has worked %v ago: want %v", age, want)
		}
	}
}
