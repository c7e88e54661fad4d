package network

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A kernel before 5.14 answers ENOPROTOOPT, whose text explains nothing.
func TestOldKernelIsNamed(t *testing.T) {
	t.Parallel()
	err := explainCookie(unix.ENOPROTOOPT)
	if !errors.Is(err, ErrOldKernel) || !strings.Contains(err.Error(), "Linux "+LeastKernel) {
		t.Errorf("ENOPROTOOPT: %v, want ErrOldKernel with the least version", err)
	}
	if err := explainCookie(unix.EBADF); errors.Is(err, ErrOldKernel) || !errors.Is(err, unix.EBADF) {
		t.Errorf("EBADF: %v", err)
	}
	if err := CheckKernel(); err != nil {
		t.Errorf("this kernel: %v", err)
	}
}

// TestFIFOIsNoNamespace opens a path at which a FIFO is, without waiting for a writer.
func TestFIFOIsNoNamespace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "net")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		_, err := OpenPath(path)
		opened <- err
	}()
	select {
	case err := <-opened:
		if err == nil || !strings.Contains(err.Error(), "not a network namespace") {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for a writer")
	}
}
