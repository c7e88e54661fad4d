package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Output runs a command and returns all that it printed. An error holds that
// and the command too. The command prints into a file, not a pipe: what it
// leaves running in the background may keep it open.
func Output(cmd *exec.Cmd) (string, error) {
	out, err := os.CreateTemp("", "output")
	if err != nil {
		return "", err
	}
	defer out.Close()
	defer os.Remove(out.Name())
	cmd.Stdout, cmd.Stderr = out, out
	failed := cmd.Run()
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return "", err
	}
	if failed != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), failed, strings.TrimSpace(string(text)))
	}
	return string(text), err
}

// command runs a program here and returns what it printed as the error.
func command(name string, args ...string) error {
	_, err := Output(exec.Command(name, args...))
	return err
}

// Eventually asks again and again until the answer is nil, and returns the
// last error when the time is over.
func Eventually(within time.Duration, ask func() error) error {
	deadline := time.Now().Add(within)
	for {
		err := ask()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file with the folders that it is in.
func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

var uniqueCount atomic.Int64

// unique returns a name that nothing else in this process has.
func unique(prefix string) string {
	return fmt.Sprintf("%s%d", prefix, uniqueCount.Add(1))
}
