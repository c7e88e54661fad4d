package ground

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"berth/internal/state"

	"golang.org/x/sys/unix"
)

// ErrRunning is returned if another agent uses the state directory.
var ErrRunning = errors.New("another agent is running")

// LockName is the lock file of the one agent, in STATE/state.
const LockName = "agent.lock"

// LockAgent takes the lock of the one agent of a state directory. It is held as long as the
// file is open, so the kernel frees it if the agent is killed.
func LockAgent(store *state.Store) (*os.File, error) {
	f, err := store.OpenFile(LockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("agent's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("state directory %q: %w (pid %s); stop it, or start this one with another --state",
				store.Dir(), ErrRunning, lockHolder(f))
		}
		return nil, fmt.Errorf("agent's lock: %w", err)
	}
	notePID(f)
	return f, nil
}

// notePID writes the PID into the lock file, for the error of a second agent. On a full disk the file
// stays empty: the lock does not depend on it.
func notePID(f *os.File) {
	pid := strconv.Itoa(os.Getpid()) + "\n"
	n, _ := f.WriteAt([]byte(pid), 0) // 0 on a full disk
	_ = f.Truncate(int64(n))
}

// lockHolder returns the PID written in the lock file.
func lockHolder(f *os.File) string {
	buf := make([]byte, 20)
	n, _ := f.ReadAt(buf, 0)
	if pid := strings.TrimSpace(string(buf[:n])); pid != "" {
		return pid
	}
	return "unknown"
}
