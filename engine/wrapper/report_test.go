package wrapper

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/engine/entry"
	"berth/internal/config"
)

func TestReportsToTheLog(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, `{"annotations":{"berth/networks":"lan"}`)
	log := filepath.Join(p.dir, "log")
	p.runWrapper(t, "--log="+log, "--log-format", "json", "create", "x").requireRefused(t, "config.json")
	text, err := os.ReadFile(log)
	must(t, err)
	var line struct{ Level, Msg, Time string }
	if err := json.Unmarshal(text, &line); err != nil || line.Level != "error" || !strings.Contains(line.Msg, "config.json") || line.Time == "" {
		t.Errorf("the log says %s, %v", text, err)
	}
	p.runWrapper(t, "--log", log, "create", "x").requireRefused(t, "config.json")
	text, err = os.ReadFile(log)
	if lines := strings.Split(string(text), "\n"); err != nil || len(lines) != 3 || !strings.Contains(lines[1], ` level=error msg="berth-runtime: `) {
		t.Errorf("the log says %s, %v", text, err)
	}
	p.runWrapper(t, "--log", p.dir, "create", "x").requireRefused(t, "config.json", "is a directory")
}

func TestLogOfCrun(t *testing.T) {
	for log, want := range map[string]string{"/l": "/l", "file:/l": "/l", "journald:x": "", "syslog:x": "", "/a:b": "/a:b", "": ""} {
		if got := (&Call{Runtime: "/usr/bin/crun", Log: log}).logFile(); got != want {
			t.Errorf("crun logs %q to %q, want %q", log, got, want)
		}
	}
	if got := (&Call{Runtime: "/usr/bin/runc", Log: "file:/l"}).logFile(); got != "file:/l" {
		t.Errorf("runc logs to %q, want what it was told", got)
	}
}

func TestFindsPrograms(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, annotatedSpec)
	must(t, os.Remove(filepath.Join(p.bin, "berth-hook")))
	p.runWrapper(t, "create", "x").requireRefused(t, "berth-hook", p.bin)
	p.runWrapper(t, "--berth-runtime", p.runtime(), "create", "x").requireRefused(t, "--berth-runtime", "itself")
	p.runWrapper(t, "--berth-runtime", "/nowhere", "features").requireRefused(t, "/nowhere")
	// runc was replaced by berth-runtime: then the next runtime is used.
	runc := filepath.Join(p.path, "runc")
	must(t, os.Mkdir(p.path+"2", 0o755))
	must(t, os.Rename(runc, filepath.Join(p.path+"2", "runc")))
	must(t, os.Symlink(p.runtime(), runc))
	if got := p.runWrapper(t, "features"); got.status != 7 || len(got.called) != 1 || !strings.Contains(got.called[0], p.path+"2/runc features") {
		t.Errorf("runc is berth-runtime, and called is %q", got.called)
	}
}

// TestWithoutPath does as podman does, whose runtime has no environment.
func TestWithoutPath(t *testing.T) {
	t.Setenv("PATH", "")
	want, err := exec.LookPath("/usr/sbin/runc")
	if err != nil {
		if want, err = exec.LookPath("/usr/bin/crun"); err != nil {
			want = ""
		}
	}
	if got, err := FindRuntime(""); got != want || (err == nil) != (want != "") {
		t.Errorf("without PATH the runtime is %q, %v, want %q", got, err, want)
	}
}

// TestEntryIsTheSame compares the entry with that of package entry, which has too many
// dependencies for this package.
func TestEntryIsTheSame(t *testing.T) {
	want := entry.Hook("/opt/berth-hook", config.Dirs{Config: "/c", State: "/s", BPFFS: config.DefaultBPFFS}, poststop)
	got := (&Call{Own: Options{Config: "/c", State: "/s"}}).hookEntry("/opt/berth-hook", poststop)
	if d := cmp.Diff(hook{want.Path, want.Args, want.Env, *want.Timeout}, got); d != "" {
		t.Errorf("(-elsewhere +here):\n%s", d)
	}
}

func TestDefaultState(t *testing.T) {
	if defaultState != config.DefaultState {
		t.Errorf("notes are in %q, berth's state in %q", defaultState, config.DefaultState)
	}
}
