package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A file that another program has put there must not stop a container's start.
func TestReadsRegularFilesOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"FIFO":      {func(path string) error { return unix.Mkfifo(path, 0o644) }, "want a regular file, not mode p"},
		"device":    {func(path string) error { return os.Symlink("/dev/zero", path) }, "want a regular file, not mode D"},
		"directory": {func(path string) error { return os.Mkdir(path, 0o755) }, "want a regular file, not mode d"},
		"socket": {func(path string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			return errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Close(fd))
		}, "no such device or address"},
		"too long": {func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40))
		}, "1099511627776 bytes: want at most 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := NetworkFile(dir, "lan")
			err := errors.Join(os.Mkdir(NetworksDir(dir), 0o755), c.make(path), os.Symlink(path, filepath.Join(dir, "berth.toml")))
			if err != nil {
				t.Fatal(err)
			}
			wantSoon(t, path, c.want, func() error { _, err := Network(dir, "lan"); return err })
			wantSoon(t, path, c.want, func() error { _, errs := Networks(dir); return errors.Join(errs...) })
			wantSoon(t, filepath.Join(dir, "berth.toml"), c.want, func() error { _, err := Load(dir); return err })
		})
	}
}

func wantSoon(t *testing.T, path, want string, read func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- read() }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q and %q", err, path, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("it still waits after 10 s")
	}
}

func TestReadsUpToTheMost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "berth.toml")
	write(t, path, strings.Repeat("#", maxFile-1)+"\n")
	if _, err := Load(dir); err != nil {
		t.Error(err)
	}
	write(t, path, strings.Repeat("#", maxFile)+"\n")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "1048577 bytes: want at most 1048576") {
		t.Errorf("one byte more: %v", err)
	}
}
