package doctor

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"berth/check"
	"berth/engine/install"
	"berth/specs"
)

// output is a program's output. The streams are kept apart, because engines print warnings
// to standard error even if the container runs.
type output struct{ stdout, stderr string }

// Runner runs a program and returns its output.
type Runner func(ctx context.Context, stdin []byte, program string, args ...string) (output, error)

// tryTimeout bounds the time in which one engine starts a container.
const tryTimeout = 60 * time.Second

// trial is a container that must not start: it has an annotation whose key the hook
// refuses, so that nothing is attached. Its root file system has a single program.
type trial struct {
	*Doctor
	key    string // of the annotation
	id     string
	rootfs string
}

// request is the way in which a trial's container requests an interface.
type request int

const (
	byNothing    request = iota // a plain container
	byAnnotation                // with the annotation, and berth's hook
	byDevice                    // with a device of CDI, whose network does not exist
)

// startFunc starts a trial's container and returns the engine's output. A normal end of the
// container is no error.
type startFunc func(ctx context.Context, by request) (output, error)

// tryMaker prepares a trial with an engine. clean undoes the preparation; it is nil if
// there is nothing to undo.
type tryMaker func(ctx context.Context, t *trial) (run startFunc, clean func(), err error)

// trialProgram is the container's program: it ends at once.
const trialProgram = "berth-hook"

// Try starts a short container with each installed engine, or with the named ones, and
// reports whether its annotation arrived.
func (d *Doctor) Try(ctx context.Context, named []string) (lines []check.Line) {
	for _, e := range engines {
		if d.findProgram(e.program) == "" || len(named) > 0 && !slices.Contains(named, e.name) {
			continue
		}
		if e.try != nil {
			lines = append(lines, d.tryEngine(ctx, e)...)
		}
		if e.pods != "" {
			lines = append(lines, d.tryPods(ctx, e.name, e.pods, e.try == nil)...)
		}
	}
	if slices.Contains(named, install.NRI) {
		lines = append(lines, d.tryPods(ctx, install.NRI, "", true)...)
	}
	return lines
}

// newTrial returns a trial of a new name.
func (d *Doctor) newTrial() *trial {
	token := strings.ToLower(rand.Text()[:10])
	t := &trial{Doctor: d, key: specs.Prefix + "doctor-" + token, id: "berth-doctor-" + token}
	if t.Run == nil {
		copied := *d
		copied.Run = runProgram
		t.Doctor = &copied
	}
	return t
}

func (d *Doctor) tryEngine(ctx context.Context, e engine) []check.Line {
	ctx, cancel := context.WithTimeout(ctx, 2*tryTimeout)
	defer cancel()
	t := d.newTrial()
	if err := t.makeRootfs(); err != nil {
		return []check.Line{newLine(e.name, "annotations", check.Fail,
			"make room for a small file in the directory for temporary files", "not tried: %v", err)}
	}
	started, lines := t.tryContainers(ctx, e)
	if started && e.door != nil {
		lines = append(lines, t.tryDoor(ctx, e))
	}
	lines[0] = errorLine(lines[0], os.RemoveAll(t.rootfs))
	return lines
}

// tryContainers starts a plain container first: if an engine can start none, berth is not the
// cause. It returns whether that one started, and a line on each of the others.
func (t *trial) tryContainers(ctx context.Context, e engine) (started bool, lines []check.Line) {
	const name = "annotations"
	run, clean, err := e.try(ctx, t)
	switch {
	case errors.Is(err, errNoDaemon):
		return false, []check.Line{newLine(e.name, name, check.Warn, "start its daemon", "not tried: %v", err)}
	case errors.Is(err, errNoProgram):
		return false, []check.Line{newLine(e.name, name, check.Warn, "install it, or correct PATH", "not tried: %v", err)}
	case err != nil:
		return false, []check.Line{newLine(e.name, name, check.Fail, "repair the engine first", "not tried: %v", err)}
	}
	if clean != nil {
		defer clean()
	}
	if out, err := run(ctx, byNothing); err != nil {
		return false, []check.Line{newLine(e.name, name, check.Fail, "repair the engine first; berth is not the cause",
			"it cannot start even a container without berth: %s", lastLines(out, err))}
	}
	out, err := run(ctx, byAnnotation)
	lines = append(lines, t.judgeTrial(e, out, err))
	if e.devices != "" && t.takesDevices(e) {
		lines = append(lines, t.tryDevice(ctx, e, run))
	}
	return true, lines
}

// errorLine returns a line, or a line on an error that came after it.
func errorLine(l check.Line, err error) check.Line {
	if err != nil && l.Result == check.Pass {
		return newLine(l.Subject, l.Check, check.Warn, "remove the rest by hand",
			"%s; removing the trial failed: %v", l.Message, err)
	}
	return l
}

// judgeTrial derives from an engine's output whether the annotation arrived.
func (t *trial) judgeTrial(e engine, out output, err error) check.Line {
	const name = "annotations"
	log := filepath.Join(t.Dirs.State, "state", "hook.log")
	text, _ := os.ReadFile(log) // if there is none, the hook did not run
	shown := strings.Contains(out.stderr, t.key)
	ran := shown && strings.Contains(out.stderr, specs.KeyNetworks) || bytes.Contains(text, []byte(t.key))
	remedy := t.remedyOf(e)
	switch {
	case shown && ran:
		return newLine(e.name, name, check.Pass, "", "annotations arrive, and the engine shows berth-hook's errors")
	case ran:
		return newLine(e.name, name, check.Pass, "", "annotations arrive; berth-hook's errors are only in %s", log)
	case err == nil:
		return newLine(e.name, name, check.Fail, remedy,
			"the engine started a container without berth-hook, so it ignores annotations")
	}
	return newLine(e.name, name, check.Fail, remedy,
		"a plain container starts, but one with an annotation of berth fails before berth-hook runs: %s", lastLines(out, err))
}

// remedyOf returns the remedy for an engine that does not execute berth's hook: the installation, or
// the step after it.
func (t *trial) remedyOf(e engine) string {
	l, installed := t.checkInstalled(e.name, e.name)
	switch {
	case !installed || l.Result != check.Pass:
		return "`berth install --engine " + e.name + "`"
	case e.name == install.Docker:
		return "`systemctl reload docker`, because berth is installed"
	}
	return "berth is installed; `berth check` finds more"
}

// lastLines returns the end of an engine's standard error, which has the error; warnings
// precede it.
func lastLines(out output, err error) string {
	text := strings.TrimSpace(out.stderr)
	if text == "" {
		return err.Error()
	}
	const most = 400 // bytes
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

func (t *trial) makeRootfs() (err error) {
	if t.rootfs, err = os.MkdirTemp("", "berth-doctor-"); err != nil {
		return err
	}
	for _, dir := range []string{"dev", "etc", "proc", "run", "sys", "tmp"} {
		if err := os.Mkdir(filepath.Join(t.rootfs, dir), 0o755); err != nil {
			return err
		}
	}
	program, err := os.ReadFile(filepath.Join(t.Bin, trialProgram))
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(t.rootfs, 0o755), os.WriteFile(filepath.Join(t.rootfs, trialProgram), program, 0o755))
}

// rootfsArchive returns the root file system in docker's import format.
func (t *trial) rootfsArchive() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.AddFS(os.DirFS(t.rootfs))
	return b.Bytes(), errors.Join(err, w.Close())
}

func runProgram(ctx context.Context, stdin []byte, program string, args ...string) (output, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return output{stdout.String(), stderr.String()}, err
}
