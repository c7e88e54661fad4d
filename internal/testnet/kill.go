package testnet

import (
	"os"

	"golang.org/x/sys/unix"
)

// KillSelf ends this process by SIGKILL, as the kernel or an impatient administrator does. It
// does not return.
func KillSelf() {
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	for {
		_ = unix.Pause()
	}
}

// KillAfter returns a function for the field Step of a hook, a shim or a plugin. It ends this
// process after the step that an environment variable names. A test sets the variable for a
// process of its own test binary.
func KillAfter(variable string) func(step string) error {
	last := os.Getenv(variable)
	return func(step string) error {
		if step == last {
			KillSelf()
		}
		return nil
	}
}
