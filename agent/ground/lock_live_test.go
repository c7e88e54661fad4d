package ground

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/state"
	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// On a full disk the agent cannot write its PID, which is only for the error of a second agent. It must
// start all the same: containers start and end there too, as the database keeps room.
func TestLockOnAFullDisk(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k,mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	store := state.Open(disk)
	first, err := LockAgent(store) // makes the directories
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Truncate(0), first.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 128<<10), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	held, err := LockAgent(store)
	if err != nil {
		t.Fatalf("on a full disk: %v", err)
	}
	defer held.Close()
	if _, err := LockAgent(store); !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), "pid unknown") {
		t.Errorf("a second agent: error %v, want ErrRunning and an unknown PID", err)
	}
}
