package daemon

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"berth/internal/state"
)

// ground is what tells the agent that its state directory is still the one in
// which it has the lock and the socket.
type ground struct {
	lock     *os.File
	lockPath string
	socket   *net.UnixListener
	made     fs.FileInfo // of the socket
}

func newGround(store *state.Store, lock *os.File, socket net.Listener) (ground, error) {
	g := ground{lock: lock, lockPath: filepath.Join(store.Dir(), lockName), socket: socket.(*net.UnixListener)}
	var err error
	if g.made, err = os.Lstat(socket.Addr().String()); err != nil {
		return g, fmt.Errorf("agent's socket: %w", err)
	}
	return g, nil
}

// check returns an error when somebody has removed or replaced either: nobody
// can ask this agent any more, and nothing keeps another one from starting.
func (g *ground) check() error {
	path := g.socket.Addr().String()
	now, err := os.Lstat(path)
	if err == nil && os.SameFile(now, g.made) && stillAt(g.lock, g.lockPath) {
		return nil
	}
	g.socket.SetUnlinkOnClose(false) // it may be another agent's
	return fmt.Errorf("state directory %q was removed or replaced under the running agent: start berthd again; programs and counts stay meanwhile",
		filepath.Dir(path))
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
	}
	if err != nil {
		return explain(err)
	}
	return nil
}
