package cli

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/network"
)

// world is an Env with directories for one test.
type world struct {
	t        *testing.T
	dir      string
	bpffs    string
	env      Env
	out, err bytes.Buffer
}

// clock is the time in tests.
var clock = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.bpffs = w.dir + "/bpf"
	w.env = Env{
		Out: &w.out, Err: &w.err, Width: defaultWidth, Version: "v1.2.3",
		Now:    func() time.Time { return clock },
		parent: func(name string) (*network.Parent, error) { return &network.Parent{Name: name, MTU: 1500}, nil },
		euid:   func() int { return 0 },
	}
	return w
}

// runMain runs a command and returns its exit code; out and err hold its output.
func (w *world) runMain(args ...string) int {
	w.t.Helper()
	w.out.Reset()
	w.err.Reset()
	dirs := []string{"--config", w.dir + "/etc", "--state", w.dir + "/run", "--bpffs", w.bpffs}
	return Main(context.Background(), append(dirs, args...), w.env)
}

// mustRun runs a command that must succeed, and returns its output.
func (w *world) mustRun(args ...string) string {
	w.t.Helper()
	if code := w.runMain(args...); code != exitOK {
		w.t.Fatalf("berth %s: exit %d: %s", strings.Join(args, " "), code, &w.err)
	}
	return w.out.String()
}

// mustFail runs a command that must fail with a code and a part of an error.
func (w *world) mustFail(code int, want string, args ...string) {
	w.t.Helper()
	if got := w.runMain(args...); got != code {
		w.t.Errorf("berth %s: exit %d, want %d (%s)", strings.Join(args, " "), got, code, &w.err)
	}
	if got := w.err.String(); !strings.Contains(got, want) {
		w.t.Errorf("berth %s: said\n%swant\n%s", strings.Join(args, " "), got, want)
	}
	if w.out.Len() > 0 {
		w.t.Errorf("berth %s: an error with output:\n%s", strings.Join(args, " "), &w.out)
	}
}

// writeFile creates a file below the world's directory.
func (w *world) writeFile(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// mustEqual compares with a text whose first newline is ignored.
func mustEqual(t *testing.T, what, want, got string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestUsageErrors(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		line, want string
	}{
		{"", "berth: the command is missing\nSee 'berth --help'.\n"},
		{"netwrk create lan -d macvlan", `berth: unknown command "netwrk"; did you mean network?`},
		{"frobnicate", `berth: unknown command "frobnicate"`},
		{"network", "berth network: the command is missing\nSee 'berth network --help'.\n"},
		{"network crate lan", `berth network: unknown command "crate"; did you mean create?`},
		{"network create", "berth network create: the network's NAME is missing"},
		{"network create a b", `berth network create: unexpected argument "b"`},
		{"network create a --subnt 192.0.2.0/24", "berth network create: unknown flag --subnt; did you mean --subnet?"},
		{"ps --wid", "berth ps: unknown flag --wid; did you mean --wide?"},
		{"ps --stat /run", "berth ps: unknown flag --stat; did you mean --state?"},
		{"ps --frobnicate", "berth ps: unknown flag --frobnicate\n"},
		{"ps -x", "berth ps: unknown shorthand flag: 'x' in -x\n"},
		{"network create a --internal", "berth network create: --internal: a network of berth's is on the LAN"},
		{"network create a --label a=b", "berth network create: --label: berth keeps no labels"},
		{"stats --interval 5", `berth stats: --interval "5": want a duration, as 5s`},
		{"network create a --ipv6=maybe", `berth network create: --ipv6 "maybe": want true or false`},
		{"network connect lan web --pid x", `berth network connect: --pid "x": want a whole number`},
		{"network connect lan web --pid 99999999999999999999", `--pid "99999999999999999999": want a whole number`},
		{"network connect lan web --pid -1", `berth network connect: --pid "-1": want the id of a process`},
		{"stats --count x", `berth stats: --count "x": want a whole number`},
		{"stats --count -1", `berth stats: --count "-1": want a number of intervals, or 0 to go on`},
		{"completion foo", `berth completion: unknown command "foo"`},
		{"completion", "berth completion: the command is missing"},
		{"completion bash now", `berth completion bash: unexpected argument "now"; the command takes none`},
		{"network rm ../lan", `berth network rm: network "../lan": want 1 to 64 letters`},
		{"network rm lan ../lan", `berth network rm: network "../lan": want 1 to 64 letters`},
		{"network inspect ../lan", `berth network inspect: network "../lan": want 1 to 64 letters`},
		{"network connect ../lan web", `berth network connect: network "../lan": want 1 to 64 letters`},
		{"network disconnect ../lan web", `berth network disconnect: network "../lan": want 1 to 64 letters`},
		{"host enable ../lan", `berth host enable: network "../lan": want 1 to 64 letters`},
		{"host disable ../lan", `berth host disable: network "../lan": want 1 to 64 letters`},
		{"help network crate", `berth help: unknown command "crate"; did you mean create?`},
		{"version now", `berth version: unexpected argument "now"; the command takes none`},
	} {
		w.mustFail(exitUsage, c.want, strings.Fields(c.line)...)
	}
}

func TestCompletion(t *testing.T) {
	w := newWorld(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := w.mustRun("completion", shell); !strings.Contains(got, "berth") {
			t.Errorf("completion %s: %.100q", shell, got)
		}
	}
}

func TestHelpIsInOneCase(t *testing.T) {
	w := newWorld(t)
	if got := w.mustRun("--help"); !strings.Contains(got, "  completion  write a completion for a shell\n") {
		t.Errorf("help:\n%s", got)
	}
	if got := w.mustRun("completion", "--help"); !strings.Contains(got, "write the completion for zsh\n") || strings.Contains(got, "Generate") {
		t.Errorf("help of completion:\n%s", got)
	}
}

// TestRunAsRoot requires that a command for root alone reports that at once, and once.
func TestRunAsRoot(t *testing.T) {
	w := newWorld(t)
	w.env.euid = func() int { return 1000 }
	for _, line := range []string{"gc", "network rm lan dmz", "network rm -f lan", "check --attached"} {
		w.mustFail(exitFailed, "berth: run as root: ", strings.Fields(line)...)
		if n := strings.Count(w.err.String(), "\n"); n != 1 {
			t.Errorf("berth %s said %d lines: %s", line, n, &w.err)
		}
	}
	w.withNetworks("lan -o parent=eth1") // in the user's own directory
}

func TestAsRoot(t *testing.T) {
	w := newWorld(t)
	denied := &fs.PathError{Op: "open", Path: "/etc/berth", Err: fs.ErrPermission}
	if got := w.env.asRoot(denied); got != error(denied) {
		t.Errorf("root is told %v", got)
	}
	w.env.euid = func() int { return 1000 }
	if got := w.env.asRoot(denied); !errors.Is(got, fs.ErrPermission) || !strings.HasPrefix(got.Error(), "run as root: ") {
		t.Errorf("others are told %v", got)
	}
	if got := w.env.asRoot(errPrinted); got != errPrinted {
		t.Errorf("another error became %v", got)
	}
}

func TestPrintVersion(t *testing.T) {
	w := newWorld(t)
	if got := w.mustRun("version"); !strings.HasPrefix(got, "berth v1.2.3 (go") {
		t.Errorf("version: %q", got)
	}
	if got := w.mustRun("version", "--json"); !strings.HasPrefix(got, "[\n  {\n    \"version\": \"v1.2.3\",\n") {
		t.Errorf("version --json: %q", got)
	}
}

func TestHelpOfCommands(t *testing.T) {
	w := newWorld(t)
	if got := w.mustRun("network", "create", "--help"); !strings.Contains(got, "--aux-address [NAME=]IP") {
		t.Errorf("help does not tell the flags:\n%s", got)
	}
	if got := w.mustRun("help", "network", "create"); !strings.Contains(got, "--aux-address [NAME=]IP") {
		t.Errorf("help network create does not tell the flags:\n%s", got)
	}
	if got := w.out.String(); strings.Contains(got, "--internal") {
		t.Errorf("help offers a flag that is refused:\n%s", got)
	}
}
