package lab

import (
	"errors"
	"os/exec"
	"testing"
)

// TestExecWhole loses the output of a command twice, and does not repeat one that fails.
func TestExecWhole(t *testing.T) {
	t.Parallel()
	calls := 0
	out, err := execWhole(func(command []string) (string, error) {
		if calls++; calls < 3 {
			return []string{"", "lo\n"}[calls-1], nil
		}
		return Output(exec.Command(command[0], command[1:]...))
	}, []string{"printf", `lo\nnet1\n`})
	if out != "lo\nnet1\n" || err != nil || calls != 3 {
		t.Errorf("%q, %v after %d calls", out, err, calls)
	}
	calls = 0
	if out, err := execWhole(func([]string) (string, error) { calls++; return "no such device\n", errors.New("1") }, []string{"ip"}); err == nil || calls != 1 {
		t.Errorf("%q, %v after %d calls", out, err, calls)
	}
}
