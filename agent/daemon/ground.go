package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"berth/internal/state"
)

// ground is what tells the agent that its state directory is still the one in
// which it has the lock and the socket. It does not change, so that any
// goroutine may ask.
type ground struct {
	lock             *os.File
	lockPath, socket string
	made             fs.FileInfo // of the socket
}

// newGround takes over the removal of the socket's file from the listener,
// which does not look whose it is by then.
func newGround(store *state.Store, lock *os.File, socket net.Listener) (ground, error) {
	g := ground{lock: lock, lockPath: filepath.Join(store.Dir(), lockName), socket: socket.Addr().String()}
	socket.(*net.UnixListener).SetUnlinkOnClose(false)
	var err error
	if g.made, err = os.Lstat(g.socket); err != nil {
		return g, fmt.Errorf("agent's socket: %w", err)
	}
	return g, nil
}

// check returns an error when somebody has removed or replaced either: nobody
// can ask this agent any more, and nothing keeps another one from starting.
func (g *ground) check() error {
	if g.ours() && stillAt(g.lock, g.lockPath) {
		return nil
	}
	return fmt.Errorf("state directory %q was removed or replaced under the running agent: start berthd again; programs and counts stay meanwhile",
		filepath.Dir(g.socket))
}

// ours reports whether the socket's file is not another agent's.
func (g *ground) ours() bool {
	now, err := os.Lstat(g.socket)
	return err == nil && os.SameFile(now, g.made)
}

// leave removes the socket's file, unless it is another agent's. The lock is
// still held.
func (g *ground) leave() error {
	if !g.ours() {
		return nil
	}
	if err := os.Remove(g.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("agent's socket: %w", err)
	}
	return nil
}

// keepPinned holds on to what is pinned: what somebody has removed is pinned
// again, with its counts, and all is registered anew.
func (a *Agent) keepPinned() error {
	if a.datapath == nil {
		return nil
	}
	dir := a.o.Dirs.BPFFS
	if !stillAt(a.pinLock, dir) {
		lock, err := lockBPFFS(dir)
		if err != nil {
			return explain(err)
		}
		a.pinLock.Close()
		a.pinLock = lock
	}
	missing, err := a.datapath.Repin()
	if missing {
		a.log.Warn("pinned objects were removed under the running agent, pinning them again", "directory", dir)
		a.epoch++
		a.isolated = nil
	}
	if err != nil {
		return explain(err)
	}
	return nil
}
