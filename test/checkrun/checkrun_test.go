// Package checkrun tests .ci/run: the lanes run at once, a stage that fails fails the run
// after the others, a signal ends all processes, and the table has every stage.
package checkrun

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"berth/internal/testnet"
)

// stages are the names of all stages, in the table.
var stages = []string{
	"install debootstrap", "make the tree of Debian 12", "make demo and make test, in the tree", "make vm-test, in the tree",
	"make vm-nodes, in the tree", "axe-core, for make web-test",
	"make engines, in trees of their own", "make system, on booted Debian 13 and 12", "failed tests, and those that ran nowhere",
}

// The tests do not run in parallel: while one of them starts a program, its child has the files open
// that another one writes, and the kernel starts no program that is open for writing.

// start starts the check run in a directory in which a script stands in for each
// program of the stages.
func start(t *testing.T, standIn string) (cmd *exec.Cmd, printed *bytes.Buffer, dir string) {
	t.Helper()
	dir = t.TempDir()
	script, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		".ci/run": string(script), "scripts/deps.sh": "#!/bin/sh\n", "scripts/axe.sh": "#!/bin/sh\n", "scripts/fresh.sh": "#!/bin/sh\n" + standIn,
		"bin/make": "#!/bin/sh\n" + standIn, "bin/go": "#!/bin/sh\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd, printed = exec.Command(filepath.Join(dir, ".ci/run")), new(bytes.Buffer)
	cmd.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"), "BERTH_CACHE="+dir+"/cache", "TMPDIR="+dir, "DIR="+dir)
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, printed, dir
}

// wait waits for the end of the check run and checks its exit status, and that the
// table has the result of each stage: ok if results has none.
func wait(t *testing.T, cmd *exec.Cmd, printed *bytes.Buffer, status int, results map[string]string) {
	t.Helper()
	err := cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("exit status %d, want %d", got, status)
	}
	_, table, _ := strings.Cut(printed.String(), "\nstage ")
	for _, name := range stages {
		want := "ok"
		if result, ok := results[name]; ok {
			want = result
		}
		found := false
		for line := range strings.Lines(table) {
			found = found || strings.HasPrefix(line, name+" ") && strings.HasSuffix(line, "  "+want+"\n")
		}
		if found != (want != "") {
			t.Errorf("stage %q: want result %q", name, want)
		}
	}
	if t.Failed() {
		t.Logf("printed:\n%s", printed)
	}
}

// Each lane waits for the other one's first stage.
func TestTheLanesRunAtOnce(t *testing.T) {
	cmd, printed, _ := start(t, `
case "$*" in
bookworm\ true*) touch "$DIR/tests"; until [ -e "$DIR/engines" ]; do sleep 0.01; done ;;
engines*) touch "$DIR/engines"; until [ -e "$DIR/tests" ]; do sleep 0.01; done ;;
esac
`)
	wait(t, cmd, printed, 0, nil)
}

func TestAFailureFailsTheRunAfterAllStages(t *testing.T) {
	cmd, printed, _ := start(t, `case "$*" in engines*) echo the reason; exit 3 ;; esac`)
	wait(t, cmd, printed, 1, map[string]string{"make engines, in trees of their own": "failed: 3"})
	want := "== make engines, in trees of their own failed: 3, and ended with\nthe reason\n"
	if !strings.Contains(printed.String(), want) {
		t.Errorf("%q is not in\n%s", want, printed)
	}
}

func TestASignalEndsAll(t *testing.T) {
	cmd, printed, dir := start(t, `echo $$ >"$DIR/$(basename "$0")"; exec sleep 1000`)
	var pids []string
	for _, name := range []string{"fresh.sh", "make"} {
		testnet.Eventually(t, name+" runs", func() bool {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && bytes.HasSuffix(text, []byte("\n")) {
				pids = append(pids, strings.TrimSpace(string(text)))
				return true
			}
			return false
		})
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	results := map[string]string{}
	for _, name := range stages {
		results[name] = "" // no line
	}
	results["install debootstrap"] = "ok"
	for _, name := range []string{"make the tree of Debian 12", "make engines, in trees of their own"} {
		results[name] = "did not end"
	}
	wait(t, cmd, printed, 143, results)
	for _, pid := range pids { // a process that has got its signal may live a moment longer than the shell
		testnet.Eventually(t, "process "+pid+" ends", func() bool {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%s/cmdline", pid))
			return err != nil || !bytes.HasPrefix(text, []byte("sleep\x001000\x00"))
		})
	}
	left, err := filepath.Glob(filepath.Join(dir, "tmp.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
