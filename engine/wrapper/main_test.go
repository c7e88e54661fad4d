package wrapper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// builtRuntime is berth-runtime, built once.
var builtRuntime string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "wrapper")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		builtRuntime = filepath.Join(dir, "berth-runtime")
		build := exec.Command("go", "build", "-ldflags", "-X main.version=v9", "-o", builtRuntime, "berth/cmd/berth-runtime")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build berth-runtime: %v: %s\n", err, out)
			return 1
		}
		return m.Run()
	}())
}

// A place has berth-runtime and berth-hook in bin, a runtime in path, and a bundle. The
// runtime and the hook are scripts.
type place struct {
	dir, bin, path, bundle string
}

// fakeRuntime records its arguments, and answers state.
const fakeRuntime = `echo "$$ $0 $*" >>DIR/called
case "$*" in
*state*) [ -e DIR/state ] && cat DIR/state && exit 0; echo no such container >&2; exit 1;;
esac
exit 7
`

// fakeHook records its arguments and input, and fails if the test wants it to.
const fakeHook = `{ echo "$0 $*"; cat; env; pwd; } >DIR/hooked
[ -e DIR/fail ] && { cat DIR/fail >&2; exit 1; }
exit 0
`

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{dir, filepath.Join(dir, "bin"), filepath.Join(dir, "path"), filepath.Join(dir, "bundle")}
	for _, d := range []string{p.bin, p.path, p.bundle} {
		must(t, os.Mkdir(d, 0o755))
	}
	must(t, os.Link(builtRuntime, p.runtime()))
	p.script(t, filepath.Join(p.bin, "berth-hook"), fakeHook)
	p.script(t, filepath.Join(p.path, "runc"), fakeRuntime)
	return p
}

func (p *place) runtime() string { return filepath.Join(p.bin, "berth-runtime") }
func (p *place) config() string  { return filepath.Join(p.bundle, "config.json") }

func (p *place) script(t *testing.T, path, text string) {
	t.Helper()
	testnet.Script(t, path, strings.ReplaceAll(text, "DIR", p.dir))
}

// write writes the bundle's config.json.
func (p *place) write(t *testing.T, text string) {
	t.Helper()
	must(t, os.WriteFile(p.config(), []byte(text), 0o640))
}

// A result is the outcome of a run of berth-runtime.
type result struct {
	status, pid    int
	stdout, stderr string
	called         []string // the runtime's calls
}

// runWrapper runs berth-runtime with the place's own STATE.
func (p *place) runWrapper(t *testing.T, args ...string) result {
	t.Helper()
	return p.runAs(t, p.runtime(), append([]string{"--berth-state", filepath.Join(p.dir, "run")}, args...)...)
}

func (p *place) runAs(t *testing.T, path string, args ...string) result {
	t.Helper()
	called := filepath.Join(p.dir, "called")
	_ = os.Remove(called) // of an earlier run
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=" + p.path + ":" + p.path + "2:/usr/bin:/bin", "OF_THE_ENGINE=yes"}
	cmd.Dir = p.bundle
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(called)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), cmd.Process.Pid, stdout.String(), stderr.String(),
		strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })}
}

// becameRuntime checks that the run has executed the runtime with its arguments.
func (r result) becameRuntime(t *testing.T, p *place, args string) {
	t.Helper()
	want := strings.TrimSpace(fmt.Sprintf("%d %s/runc %s", r.pid, p.path, args))
	if r.status != 7 || len(r.called) == 0 || strings.TrimSpace(r.called[len(r.called)-1]) != want {
		t.Errorf("status %d, called %q, want 7 and at last %q; said: %s", r.status, r.called, want, r.stderr)
	}
}

// requireRefused checks that the run failed before it reached the runtime, with words in its error.
func (r result) requireRefused(t *testing.T, words ...string) {
	t.Helper()
	if r.status != 1 || len(r.called) != 0 {
		t.Errorf("status %d, called %q, want 1 and none", r.status, r.called)
	}
	for _, w := range words {
		if !strings.Contains(r.stderr, w) {
			t.Errorf("the error does not say %q: %s", w, r.stderr)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
