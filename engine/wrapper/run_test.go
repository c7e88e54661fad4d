package wrapper

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const annotatedSpec = `{"ociVersion":"1.0.2", "annotations": {"berth/networks":"lan"}, "root":{"path":"rootfs"}}` + "\n"

func TestHandsOnWhatMakesNoContainer(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, annotatedSpec)
	for _, args := range []string{"", "--version", "features", "kill x", "--root /r delete --force x", "create --help", "start x", "exec -t x create"} {
		p.runWrapper(t, strings.Fields(args)...).becameRuntime(t, p, args)
	}
	if got, err := os.ReadFile(p.config()); err != nil || string(got) != annotatedSpec {
		t.Errorf("config.json is %s, %v", got, err)
	}
}

func TestOwnVersion(t *testing.T) {
	t.Parallel()
	if got := newPlace(t).runWrapper(t, "--berth-version"); got.stdout != "berth-runtime v9\n" || got.status != 0 {
		t.Errorf("--berth-version: status %d, %q", got.status, got.stdout)
	}
}

// TestTransparent requires that a runtime starts with the same state as without
// berth-runtime: descriptors, limits, masks, environment and directory. Ignored signals are
// not kept, except SIGHUP and SIGINT, as Go's runtime handles them. runc is a Go program
// too, and crun resets them in the container.
func TestTransparent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.script(t, filepath.Join(p.path, "runc"), `for fd in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done
grep -E '^(SigBlk|SigIgn|Umask|NoNewPrivs|Cap|Seccomp:)' /proc/self/status; cat /proc/$$/limits; env | sort; pwd; echo "$@"`)
	look := func(path string, args ...string) string {
		cmd := exec.Command("sh", append([]string{"-c", `umask 027; trap "" HUP; ulimit -Sn 512; exec "$@" 7</dev/null`, "sh", path}, args...)...)
		cmd.Env, cmd.Dir = []string{"PATH=" + p.path + ":/usr/bin:/bin", "GODEBUG=x=1"}, p.bundle
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	for _, args := range [][]string{{"state", "x"}, {"create", "--bundle", p.bundle, "x"}} {
		p.write(t, annotatedSpec)
		if d := cmp.Diff(look(filepath.Join(p.path, "runc"), args...), look(p.runtime(), args...)); d != "" {
			t.Errorf("%q (-runc +berth-runtime):\n%s", args, d)
		}
	}
}

func TestLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, text := range []string{`{"annotations": {"x": "berth/networks"} }`, `{}`, "", "{", "[]", `"berth"`, "#!/bin/sh\n"} {
		p.write(t, text)
		before, err := os.Stat(p.config())
		must(t, err)
		p.runWrapper(t, "create", "--bundle", p.bundle, "x").becameRuntime(t, p, "create --bundle "+p.bundle+" x")
		after, err := os.Stat(p.config())
		must(t, err)
		got, err := os.ReadFile(p.config())
		must(t, err)
		if string(got) != text || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
			t.Errorf("config.json was %q and is %q, or another file", text, got)
		}
	}
	must(t, os.Remove(p.config()))
	p.runWrapper(t, "run", "x").becameRuntime(t, p, "run x")
	must(t, os.Mkdir(p.config(), 0o755))
	p.runWrapper(t, "run", "x").becameRuntime(t, p, "run x")
	must(t, os.Remove(p.config()))
	must(t, syscall.Mkfifo(p.config(), 0o600))
	p.runWrapper(t, "run", "x").becameRuntime(t, p, "run x")
	if left := p.inBundle(t); len(left) != 1 {
		t.Errorf("the bundle has %q", left)
	}
}

func (p *place) inBundle(t *testing.T) (names []string) {
	t.Helper()
	all, err := os.ReadDir(p.bundle)
	must(t, err)
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// hooksOf returns the hooks of the bundle, as a runtime reads them.
func (p *place) hooksOf(t *testing.T) map[string][]hook {
	t.Helper()
	text, err := os.ReadFile(p.config())
	must(t, err)
	var s struct {
		Hooks map[string][]hook
	}
	must(t, json.Unmarshal(text, &s))
	return s.Hooks
}

func (p *place) entry(args ...string) hook {
	return hook{filepath.Join(p.bin, "berth-hook"), append([]string{"berth-hook"}, args...),
		[]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1"}, 30}
}

func TestAddsItself(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"create", "run", "restore"} {
		p := newPlace(t)
		p.write(t, annotatedSpec)
		must(t, os.Chmod(p.config(), 0o604))
		if os.Geteuid() == 0 {
			must(t, os.Chown(p.config(), 12, 34))
		}
		before, err := os.Stat(p.config())
		must(t, err)
		for range 2 { // the second time it is there already
			p.runWrapper(t, "--berth-config", "etc", command, "x").becameRuntime(t, p, command+" x")
			dirs := []string{"--config", filepath.Join(p.bundle, "etc"), "--state", filepath.Join(p.dir, "run")}
			want := map[string][]hook{
				"createRuntime": {p.entry(append(dirs, "createRuntime")...)},
				"poststop":      {p.entry(append(dirs, "poststop")...)},
			}
			if d := cmp.Diff(want, p.hooksOf(t)); d != "" {
				t.Errorf("%s (-want +got):\n%s", command, d)
			}
		}
		after, err := os.Stat(p.config())
		must(t, err)
		was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
		if was.Mode != is.Mode || was.Uid != is.Uid || was.Gid != is.Gid {
			t.Errorf("mode %o of %d:%d became %o of %d:%d", was.Mode, was.Uid, was.Gid, is.Mode, is.Uid, is.Gid)
		}
		if left := p.inBundle(t); len(left) != 1 {
			t.Errorf("the bundle has %q", left)
		}
	}
}

// TestAddsTheClient requires that the client is added if it is beside berth-hook, once, and that the
// prober is berth-hook in any case.
func TestAddsTheClient(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	client := filepath.Join(p.bin, "berth-hook-client")
	p.script(t, client, "exit 1\n")
	run := filepath.Join(p.dir, "run")
	must(t, os.MkdirAll(filepath.Join(run, "state"), 0o700))
	p.write(t, annotatedSpec)
	want := map[string][]hook{}
	for _, stage := range []string{"createRuntime", "poststop"} {
		entry := p.entry("--state", run, stage)
		entry.Path = client
		want[stage] = []hook{entry}
	}
	for range 2 {
		p.runWrapper(t, "create", "x").becameRuntime(t, p, "create x")
		if d := cmp.Diff(want, p.hooksOf(t)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	if text := p.probed(t); !strings.Contains(text, p.bin+"/berth-hook ahead") {
		t.Errorf("the prober is %q", text)
	}
	must(t, os.Remove(filepath.Join(p.bin, "berth-hook")))
	p.write(t, annotatedSpec)
	p.runWrapper(t, "create", "x").requireRefused(t, "berth-hook", p.bin)
}

func TestConfigOfCrun(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	must(t, os.Rename(filepath.Join(p.path, "runc"), filepath.Join(p.path, "crun")))
	p.write(t, annotatedSpec)
	other := filepath.Join(p.dir, "other.json")
	must(t, os.Rename(p.config(), other))
	p.runWrapper(t, "run", "-f", other, "-b"+p.bundle, "x")
	text, err := os.ReadFile(other)
	if err != nil || strings.Count(string(text), `/bin/berth-hook"`) != 2 {
		t.Errorf("the configuration is %s, %v", text, err)
	}
}

func TestRefusesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	huge := `{"x":"` + strings.Repeat(" ", 9<<20) + `"`
	for name, c := range map[string]struct {
		text string
		link bool
		want []string // nil if passed on
	}{
		"link":               {annotatedSpec, true, []string{"berth/networks", "symbolic link"}},
		"other's link":       {`{}`, true, nil},
		"not JSON":           {`{"annotations":{"berth/networks":"lan"}`, false, []string{"not valid JSON"}},
		"escaped":            {`{"annotations":{"berth\/networks":"lan"}`, false, []string{"not valid JSON"}},
		"other's, not JSON":  {`{"annotations":{`, false, nil},
		"huge":               {huge + `,"annotations":{"berth/networks":"lan"}}`, false, []string{"bytes", "8388608"}},
		"other's huge":       {huge + `}`, false, nil},
		"hooks of no stages": {`{"hooks":[],"annotations":{"berth/networks":"lan"}}`, false, []string{"hooks"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write(t, c.text)
			if c.link {
				must(t, os.Rename(p.config(), filepath.Join(p.dir, "elsewhere")))
				must(t, os.Symlink("../elsewhere", p.config()))
			}
			got := p.runWrapper(t, "create", "x")
			if c.want == nil {
				got.becameRuntime(t, p, "create x")
			} else {
				got.requireRefused(t, append(c.want, p.bundle)...)
			}
			if text, err := os.ReadFile(p.config()); err != nil || string(text) != c.text {
				t.Errorf("config.json was changed: %v", err)
			}
		})
	}
}

// TestOneBundleManyTimes requires that containers created from one bundle at the same time
// do not disturb each other.
func TestOneBundleManyTimes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), configName)
	must(t, os.WriteFile(path, []byte(annotatedSpec), 0o640))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				c, err := readConfig(path)
				if err == nil {
					err = c.replaceFile(c.text)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if text, err := os.ReadFile(path); err != nil || string(text) != annotatedSpec {
		t.Errorf("config.json is %q, %v", text, err)
	}
}

// TestAnnotationAcrossReadBlocks requires that an annotation across the boundary of two read blocks
// is found.
func TestAnnotationAcrossReadBlocks(t *testing.T) {
	t.Parallel()
	for _, at := range []int{maxConfig - 3, maxConfig + 1 - 6, maxConfig + 1<<20 - 2, maxConfig + 1<<20} {
		p := newPlace(t)
		p.write(t, strings.Repeat(" ", at)+`berth\/`+strings.Repeat(" ", 1<<20))
		p.runWrapper(t, "create", "x").requireRefused(t, "annotations of berth's")
	}
}
