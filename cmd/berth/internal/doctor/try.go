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
	"berth/specs"
)

// Runner runs a program and returns all that it printed.
type Runner func(ctx context.Context, stdin []byte, program string, args ...string) (string, error)

// tryTimeout bounds how long one engine may take to start a container.
const tryTimeout = 60 * time.Second

// trial is a container that is not to start: it has an annotation that the
// hook refuses by its key, so that nothing is attached. Its root file system
// has one program and nothing else.
type trial struct {
	*Doctor
	key    string // of the annotation
	id     string
	rootfs string
}

// tryMaker starts a trial's container and returns what the engine printed; the
// container's end without an error is no error.
type tryMaker func(ctx context.Context, t *trial) (string, error)

// trialProgram is what the container would run: it ends at once.
const trialProgram = "berth-hook"

// Try starts a short container with each engine that is here, or with those
// that are named, and tells whether its annotation arrived.
func (d *Doctor) Try(ctx context.Context, named []string) (lines []check.Line) {
	for _, e := range engines {
		if d.find(e.program) == "" || len(named) > 0 && !slices.Contains(named, e.name) {
			continue
		}
		if e.try == nil {
			lines = append(lines, line(e.name, "annotations", check.Warn, "start a pod with an annotation of berth's, then `berth ps`", "not tried: its containers are Kubernetes' to start"))
			continue
		}
		lines = append(lines, d.tryOne(ctx, e))
	}
	return lines
}

func (d *Doctor) tryOne(ctx context.Context, e engine) check.Line {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	token := strings.ToLower(rand.Text()[:10])
	t := &trial{Doctor: d, key: specs.Prefix + "doctor-" + token, id: "berth-doctor-" + token}
	if t.Run == nil {
		copied := *d
		copied.Run = runProgram
		t.Doctor = &copied
	}
	if err := t.makeRootfs(); err != nil {
		return line(e.name, "annotations", check.Fail, "make room for a small file there", "not tried: %v", err)
	}
	out, err := e.try(ctx, t)
	return errorLine(t.judge(e, out, err), os.RemoveAll(t.rootfs))
}

// errorLine is a line, or an error that came after it.
func errorLine(l check.Line, err error) check.Line {
	if err != nil && l.Result == check.Pass {
		return line(l.Subject, l.Check, check.Warn, "remove it by hand", "%s, but %v", l.Message, err)
	}
	return l
}

// judge tells from what an engine printed whether the annotation arrived.
func (t *trial) judge(e engine, out string, err error) check.Line {
	const name = "annotations"
	log := filepath.Join(t.Dirs.State, "state", "hook.log")
	text, _ := os.ReadFile(log) // where there is none, the hook did not run
	ran := strings.Contains(out, t.key) && strings.Contains(out, specs.KeyNetworks) || bytes.Contains(text, []byte(t.key))
	remedy := "`berth install --engine " + e.name + "`"
	switch {
	case errors.Is(err, errNoDaemon):
		return line(e.name, name, check.Warn, "start it", "not tried: %v", err)
	case strings.Contains(out, t.key) && ran:
		return line(e.name, name, check.Pass, "", "they arrive, and what berth-hook says is shown")
	case ran:
		return line(e.name, name, check.Pass, "", "they arrive; what berth-hook says is only in %s", log)
	case err == nil:
		return line(e.name, name, check.Fail, remedy, "a container started without berth-hook: its annotation was ignored")
	}
	return line(e.name, name, check.Fail, remedy, "a container with an annotation of berth's does not start, and not because of berth-hook: %s", firstLines(out, err))
}

// firstLines is what a person needs of an engine's output.
func firstLines(out string, err error) string {
	out = strings.TrimSpace(out)
	if out == "" {
		return err.Error()
	}
	const most = 400 // bytes
	if len(out) > most {
		out = out[:most] + "…"
	}
	return strings.ReplaceAll(out, "\n", "; ")
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

// archive is the root file system as docker imports it.
func (t *trial) archive() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.AddFS(os.DirFS(t.rootfs))
	return b.Bytes(), errors.Join(err, w.Close())
}

func runProgram(ctx context.Context, stdin []byte, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return string(out), err
}
