package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Output runs a command and returns its standard output. An error has the command, its
// standard error and its output. The command writes to files, not pipes, because a
// background process that it leaves may keep them open.
func Output(cmd *exec.Cmd) (string, error) {
	out, err := newCapture()
	if err != nil {
		return "", err
	}
	defer out.close()
	warnings, err := newCapture()
	if err != nil {
		return "", err
	}
	defer warnings.close()
	cmd.Stdout, cmd.Stderr = out.file, warnings.file
	failed := cmd.Run()
	text, err := out.text()
	if err != nil || failed == nil {
		return text, err
	}
	complaint, err := warnings.text()
	return text, errors.Join(commandError(cmd, failed, complaint+text), err)
}

// Terminal runs a command and returns its standard output and error in the order of a
// terminal. An error has the command and all of that.
func Terminal(cmd *exec.Cmd) (string, error) {
	out, err := newCapture()
	if err != nil {
		return "", err
	}
	defer out.close()
	cmd.Stdout, cmd.Stderr = out.file, out.file
	failed := cmd.Run()
	text, err := out.text()
	if err != nil || failed == nil {
		return text, err
	}
	return text, commandError(cmd, failed, text)
}

func commandError(cmd *exec.Cmd, err error, text string) error {
	return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(text))
}

// A capture is a temporary file for the output of a command.
type capture struct{ file *os.File }

func newCapture() (*capture, error) {
	file, err := os.CreateTemp("", "output")
	return &capture{file}, err
}

func (c *capture) text() (string, error) {
	text, err := os.ReadFile(c.file.Name())
	return string(text), err
}

func (c *capture) close() {
	_ = c.file.Close()
	_ = os.Remove(c.file.Name())
}

// command runs a program in this process's namespaces. The error has its output.
func command(name string, args ...string) error {
	_, err := Output(exec.Command(name, args...))
	return err
}

// slowest is the factor by which a loaded machine may be slower than an idle one.
const slowest = 4

// Eventually calls ask again and again until it returns nil, and returns its last error
// when the time is over. The time is that of an idle machine.
func Eventually(within time.Duration, ask func() error) error {
	deadline := time.Now().Add(slowest * within)
	for {
		err := ask()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// execWhole runs a command in a container by inside and returns its output. ctr and nerdctl can
// lose the output of a command that ends at once (mended in containerd's pull request 13931 and
// nerdctl's 4392), so the output ends with a mark, and a command without it is run again.
func execWhole(inside func(command []string) (string, error), command []string) (out string, err error) {
	const mark = "whole\n"
	script := []string{"sh", "-c", `"$@"; status=$?; echo whole; exit $status`, "sh"}
	lost := Eventually(10*time.Second, func() error {
		if out, err = inside(append(script, command...)); err != nil || strings.HasSuffix(out, mark) {
			return nil
		}
		return fmt.Errorf("the output of %q in the container is lost: %q", command, out)
	})
	return strings.TrimSuffix(out, mark), errors.Join(err, lost)
}

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file and makes its directories.
func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

var uniqueCount atomic.Int64

// unique returns a name that is used once in this process.
func unique(prefix string) string {
	return fmt.Sprintf("%s%d", prefix, uniqueCount.Add(1))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
