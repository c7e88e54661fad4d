package ground

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"berth/internal/state"
)

// Ground checks whether an agent still has the lock and the socket of its state directory.
// It is immutable, so any goroutine may use it.
type Ground struct {
	lock             *os.File
	lockPath, socket string
	made             fs.FileInfo // of the socket
}

// New returns the ground of the agent that holds the lock. It takes over the removal of the
// socket's file from the listener, which would remove another agent's file too.
func New(store *state.Store, lock *os.File, socket net.Listener) (Ground, error) {
	g := Ground{lock: lock, lockPath: filepath.Join(store.Dir(), LockName), socket: socket.Addr().String()}
	socket.(*net.UnixListener).SetUnlinkOnClose(false)
	var err error
	if g.made, err = os.Lstat(g.socket); err != nil {
		return g, fmt.Errorf("examine the agent's socket: %w", err)
	}
	return g, nil
}

// Check returns an error if the lock or the socket was removed or replaced: no client can
// reach this agent any more, and another one could start.
func (g *Ground) Check() error {
	if g.ownsSocket() && StillAt(g.lock, g.lockPath) {
		return nil
	}
	return fmt.Errorf("state directory %q was removed or replaced while the agent was running; start berthd again "+
		"(programs and counts stay until then)",
		filepath.Dir(g.socket))
}

// ownsSocket reports whether the socket's file is not another agent's.
func (g *Ground) ownsSocket() bool {
	now, err := os.Lstat(g.socket)
	return err == nil && os.SameFile(now, g.made)
}

// Leave removes the socket's file, unless it is another agent's. The lock is still held.
func (g *Ground) Leave() error {
	if !g.ownsSocket() {
		return nil
	}
	if err := os.Remove(g.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the agent's socket: %w", err)
	}
	return nil
}
