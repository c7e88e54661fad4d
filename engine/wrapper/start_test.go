package wrapper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const createdState = `{"ociVersion":"1.0.2","id":"x","status":"created","pid":42,"annotations":{"berth/networks":"lan"}}`

// newLatePlace returns a place with a container that was created for a late attachment.
func newLatePlace(t *testing.T, state string) *place {
	t.Helper()
	p := newPlace(t)
	p.write(t, annotatedSpec)
	must(t, os.WriteFile(filepath.Join(p.dir, "state"), []byte(state), 0o644))
	p.runWrapper(t, "--berth-attach=start", "--root", p.dir, "create", "x").becameRuntime(t, p, "--root "+p.dir+" create x")
	return p
}

func (p *place) start(t *testing.T) result {
	t.Helper()
	return p.runWrapper(t, "--berth-attach=start", "--root", p.dir, "start", "x")
}

func (p *place) notes(t *testing.T) (names []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(p.dir, "run/late/*"))
	must(t, err)
	return all
}

func TestAttachesAtStart(t *testing.T) {
	t.Parallel()
	p := newLatePlace(t, createdState)
	if hooks := p.hooksOf(t); len(hooks) != 1 || len(hooks["poststop"]) != 1 {
		t.Errorf("create adds %+v, want poststop alone", hooks)
	}
	got := p.start(t)
	got.becameRuntime(t, p, "--root "+p.dir+" start x")
	if len(got.called) != 2 || !strings.HasSuffix(got.called[0], "--root "+p.dir+" state x") {
		t.Errorf("the runtime was called %q, want its state first", got.called)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "hooked"))
	must(t, err)
	hooked := string(text)
	if !strings.HasPrefix(hooked, p.bin+"/berth-hook --state "+p.dir+"/run createRuntime\n"+createdState) ||
		strings.Contains(hooked, "OF_THE_ENGINE") || !strings.HasSuffix(hooked, "\n/\n") {
		t.Errorf("berth-hook was given %s", hooked)
	}
	if left := p.notes(t); len(left) != 0 {
		t.Errorf("attached, and %q are left", left)
	}
	must(t, os.Remove(filepath.Join(p.dir, "hooked")))
	if again := p.start(t); len(again.called) != 1 {
		t.Errorf("another start calls %q", again.called)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "hooked")); err == nil {
		t.Error("it was attached twice")
	}
}

func TestFailedHookFailsTheStart(t *testing.T) {
	t.Parallel()
	p := newLatePlace(t, createdState)
	must(t, os.WriteFile(filepath.Join(p.dir, "fail"), []byte("berth-hook: no such network\n"), 0o644))
	log := filepath.Join(p.dir, "log")
	got := p.runWrapper(t, "--berth-attach=start", "--root", p.dir, "--log", log, "--log-format=json", "start", "x")
	if got.status != 1 || len(got.called) != 1 || !strings.Contains(got.stderr, "no such network") {
		t.Errorf("status %d, called %q, said %s, want the state and the hook's words", got.status, got.called, got.stderr)
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "no such network") {
		t.Errorf("the log says %s, %v", text, err)
	}
	must(t, os.Remove(filepath.Join(p.dir, "fail")))
	p.start(t).becameRuntime(t, p, "--root "+p.dir+" start x")
	if left := p.notes(t); len(left) != 0 {
		t.Errorf("attached at the second start, and %q are left", left)
	}
}

func TestStartOfWhatIsNotCreated(t *testing.T) {
	t.Parallel()
	p := newLatePlace(t, strings.Replace(createdState, `"created"`, `"running"`, 1))
	p.start(t).becameRuntime(t, p, "--root "+p.dir+" start x")
	must(t, os.Remove(filepath.Join(p.dir, "state")))
	if got := p.start(t); got.status != 1 || !strings.Contains(got.stderr, "no such container") {
		t.Errorf("without a state: status %d, %s", got.status, got.stderr)
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "state"), []byte("?"), 0o644))
	if got := p.start(t); got.status != 1 || !strings.Contains(got.stderr, "state of container") {
		t.Errorf("with a state that is none: status %d, %s", got.status, got.stderr)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "hooked")); err == nil {
		t.Error("it was attached")
	}
}

func TestNotesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, c := range []struct {
		what, text string
		args       []string
	}{
		{"no annotation", `{}`, []string{"create", "x"}},
		{"run attaches as it creates", annotatedSpec, []string{"run", "x"}},
		{"restore too", annotatedSpec, []string{"restore", "x"}},
		{"another's hook", `{"hooks":{"createRuntime":[{"path":"/x/hook"}]}}`, []string{"create", "x"}},
		{"hooks that are none", `{"hooks":[]}`, []string{"create", "x"}},
	} {
		p.write(t, c.text)
		p.runWrapper(t, append([]string{"--berth-attach", "start"}, c.args...)...).becameRuntime(t, p, strings.Join(c.args, " "))
		if left := p.notes(t); len(left) != 0 {
			t.Errorf("%s: noted %q", c.what, left)
		}
	}
}

// TestTakesHooksOver requires that berth's existing hooks, of a hooks.d directory or CDI, run
// at the start instead, as they were written.
func TestTakesHooksOver(t *testing.T) {
	for _, name := range []string{"berth-hook", "berth-hook-client"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			takeHooksOver(t, name)
		})
	}
}

func takeHooksOver(t *testing.T, name string) {
	t.Helper()
	p := newPlace(t)
	own := filepath.Join(p.bin, name)
	p.write(t, strings.ReplaceAll(`{"hooks":{"prestart":[{"path":"/first"},{"path":"HOOK","args":["berth-hook","--network","lan"],"env":["A=b"]}],
		"createRuntime":[{"path":"HOOK"}],"poststop":[{"path":"HOOK"}]}}`, "HOOK", own))
	must(t, os.WriteFile(filepath.Join(p.dir, "state"), []byte(createdState), 0o644))
	p.runWrapper(t, "--berth-attach=start", "--root", p.dir, "create", "x").becameRuntime(t, p, "--root "+p.dir+" create x")
	got := p.hooksOf(t)
	if len(got["prestart"]) != 1 || got["prestart"][0].Path != "/first" || len(got["createRuntime"]) != 0 || len(got["poststop"]) != 1 {
		t.Errorf("the hooks are %+v, want those of others, and poststop", got)
	}
	p.script(t, own, "echo $A \"$@\" $(cat | wc -c) >>DIR/hooked\n")
	p.start(t).becameRuntime(t, p, "--root "+p.dir+" start x")
	text, err := os.ReadFile(filepath.Join(p.dir, "hooked"))
	if want := fmt.Sprintf("b --network lan %d\n%d\n", len(createdState), len(createdState)); err != nil || string(text) != want {
		t.Errorf("the hooks were run as %q, %v, want %q", text, err, want)
	}
}

func TestCreateRemovesOldNote(t *testing.T) {
	t.Parallel()
	p := newLatePlace(t, createdState)
	p.write(t, `{}`)
	p.runWrapper(t, "--berth-attach=start", "--root", p.dir, "create", "x").becameRuntime(t, p, "--root "+p.dir+" create x")
	if left := p.notes(t); len(left) != 0 {
		t.Errorf("another container of the id has the note %q", left)
	}
}

func TestDeleteForgets(t *testing.T) {
	t.Parallel()
	for args, left := range map[string]int{"delete x": 1, "delete -f x": 0, "delete --force x": 0, "delete --force y": 1} {
		p := newLatePlace(t, createdState)
		all := append([]string{"--berth-attach=start", "--root", p.dir}, strings.Fields(args)...)
		p.runWrapper(t, all...).becameRuntime(t, p, "--root "+p.dir+" "+args)
		if got := p.notes(t); len(got) != left {
			t.Errorf("%s leaves the notes %q, want %d", args, got, left)
		}
	}
}

func TestNoteDirectoryOfOthers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, annotatedSpec)
	dir := filepath.Join(p.dir, "run/late")
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.Chmod(dir, 0o777))
	p.runWrapper(t, "--berth-attach=start", "create", "x").requireRefused(t, dir, "users other than root can change it")
	must(t, os.Remove(dir))
	must(t, os.Symlink(p.bundle, dir))
	p.runWrapper(t, "--berth-attach=start", "create", "x").requireRefused(t, dir)
}

// TestNotesOfOthersAreNotRun requires that a start runs no hook of a note that another user could have
// written: a note names programs, which root would run.
func TestNotesOfOthersAreNotRun(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, dir, note string){
		"a directory that all can write": func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777)) },
		"a link to a directory": func(t *testing.T, dir, _ string) {
			must(t, os.Rename(dir, dir+".others"))
			must(t, os.Symlink(dir+".others", dir))
		},
		"a link to a note": func(t *testing.T, dir, note string) {
			must(t, os.Rename(note, dir+".others"))
			must(t, os.Symlink(dir+".others", note))
		},
		"a directory of another user": func(t *testing.T, dir, _ string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a directory away")
			}
			must(t, os.Chown(dir, 65534, 65534))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newLatePlace(t, createdState)
			replace(t, filepath.Join(p.dir, "run/late"), p.notes(t)[0])
			p.start(t).requireRefused(t, "run/late")
			if _, err := os.Stat(filepath.Join(p.dir, "hooked")); err == nil {
				t.Error("its hook was run")
			}
		})
	}
}

// TestSweepOldNotes requires that old notes of deleted containers are removed.
func TestSweepOldNotes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	root := filepath.Join(p.dir, "odd:50%25 root")
	note := func(id string) *note { return &note{filepath.Join(p.dir, "run/late"), root, id} }
	must(t, os.MkdirAll(filepath.Join(root, "still-there"), 0o755))
	for _, id := range []string{"gone", "still-there", "young"} {
		must(t, note(id).writeHooks([]hook{{Path: "/x"}}))
	}
	old := time.Now().Add(-sweepAfter - time.Minute)
	for _, id := range []string{"gone", "still-there"} {
		must(t, os.Chtimes(note(id).filePath(), old, old))
	}
	must(t, note("new").writeHooks([]hook{{Path: "/x"}}))
	for id, want := range map[string]bool{"gone": false, "still-there": true, "young": true, "new": true} {
		if got, err := note(id).readHooks(); err != nil || len(got) > 0 != want {
			t.Errorf("the note of %s says %+v, %v, want one: %t", id, got, err, want)
		}
	}
}

func TestRootByDefault(t *testing.T) {
	for runtime, want := range map[string]string{"/usr/sbin/runc": "/run/runc", "/usr/bin/crun": "/run/crun"} {
		if got := (&Call{Runtime: runtime}).containersRoot(); got != want {
			t.Errorf("%s keeps its containers in %q, want %q", runtime, got, want)
		}
	}
}
