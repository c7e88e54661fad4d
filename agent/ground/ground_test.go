package ground

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"berth/internal/state"
)

// TestGroundCheckWhileTheServerEnds finds races under -race.
func TestGroundCheckWhileTheServerEnds(t *testing.T) {
	store, socket, g := newGround(t)
	if err := g.Check(); err != nil {
		t.Errorf("check of one's own ground: %v", err)
	}
	if err := os.Rename(store.Dir(), store.Dir()+".aside"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- socket.Close() }()
	if g.Check() == nil {
		t.Error("check does not see that the directory is gone")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestGroundLeavesAnothersSocket requires that Leave removes the agent's own socket, but
// not its successor's.
func TestGroundLeavesAnothersSocket(t *testing.T) {
	_, socket, g := newGround(t)
	path := socket.Addr().String()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	next, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	socket.Close()
	if err := g.Leave(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of the next agent: %v", err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if err := g.Leave(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the agent's own socket: %v, want that it is gone", err)
	}
}

func newGround(t *testing.T) (*state.Store, net.Listener, Ground) {
	t.Helper()
	dir := t.TempDir()
	store := state.Open(dir)
	if err := store.Prepare(); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := LockAgent(store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	g, err := New(store, lock, socket)
	if err != nil {
		t.Fatal(err)
	}
	return store, socket, g
}
