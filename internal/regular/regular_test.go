package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	long := strings.Repeat("x", 40_000)
	if err := errors.Join(os.WriteFile(file, []byte(long), 0o600), os.Symlink("file", link), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if got, err := Read(path, len(long)); err != nil || string(got) != long {
			t.Errorf("%s: %d bytes, error %v, want %d", path, len(got), err, len(long))
		}
	}
	if got, err := Read("/proc/self/stat", 1<<10); err != nil || len(got) == 0 {
		t.Errorf("a file of procfs: %d bytes, error %v", len(got), err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "none"): fs.ErrNotExist, fifo: ErrKind, dir: ErrKind, "/dev/zero": ErrKind, file: ErrSize,
	} {
		if got, err := Read(path, len(long)-1); !errors.Is(err, want) || got != nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d bytes, error %v, want %v with the path", path, len(got), err, want)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	file, fifo := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "fifo")
	if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := Open(file, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(fifo, os.O_RDWR, 0); !errors.Is(err, ErrKind) {
		t.Errorf("a FIFO: error %v", err)
	}
}

func TestReadIf(t *testing.T) {
	t.Parallel()
	file, refused := filepath.Join(t.TempDir(), "file"), errors.New("refused")
	if err := os.WriteFile(file, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	got, err := ReadIf(file, 10, func(st *unix.Stat_t) error {
		if st.Mode&0o777 != 0o640 {
			t.Errorf("mode %o", st.Mode)
		}
		return refused
	})
	if err != refused || got != nil {
		t.Errorf("got %q, error %v, want the error of the check", got, err)
	}
}
