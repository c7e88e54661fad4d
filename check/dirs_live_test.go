package check

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// TestFreeSpace compares a tmpfs that a file fills, and one without a limit.
func TestFreeSpace(t *testing.T) {
	testnet.Need(t, testnet.Root)
	for options, full := range map[string]bool{"size=2m": true, "size=0": false} {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
		state := filepath.Join(dir, "berth")
		if f := filesystemOf(state); f.Err != nil || f.Free < stateRoom {
			t.Errorf("%s: %+v, want room", options, f)
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 3<<19), 0o600); err != nil {
			t.Fatal(err)
		}
		if f := filesystemOf(state); (f.Free < stateRoom) != full {
			t.Errorf("%s with a file: %+v, want it full: %t", options, f, full)
		}
	}
}
