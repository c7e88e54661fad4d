package testnet

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// killAfter is the environment variable that makes a test binary a program; see [MainOr].
const killAfter = "BERTH_TESTNET_KILL_AFTER"

// MainOr is [Main] for a package whose test binary is also a program that ends itself by SIGKILL:
// in a process of [ProgramKilledAfter] it calls program with the arguments and exits with its
// result. The program sets [KillStep] as the step function of a hook, a plugin or a shim.
func MainOr(m *testing.M, program func(args []string) (status int)) {
	if _, given := os.LookupEnv(killAfter); given {
		os.Exit(program(os.Args[1:]))
	}
	Main(m)
}

// KillStep ends this process after the step that [ProgramKilledAfter] names.
func KillStep(step string) error {
	if step == os.Getenv(killAfter) {
		KillSelf()
	}
	return nil
}

// KillSelf ends this process by SIGKILL, as the kernel or an impatient administrator does. It
// does not return.
func KillSelf() {
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	for {
		_ = unix.Pause()
	}
}

// NoStep is the name of no step: a program with it runs to its end.
const NoStep = "no step"

// ProgramKilledAfter returns the command of this test binary's program, which ends itself after a
// step, or not at all with [NoStep].
func ProgramKilledAfter(step string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), killAfter+"="+step)
	return cmd
}

// RequireKilled runs a command, and fails the test unless it ends by SIGKILL.
func RequireKilled(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("start %s: %v", cmd, err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended otherwise than by SIGKILL: %v\n%s", cmd, err, out)
	}
}
