package network

import (
	"errors"
	"strings"
	"testing"

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
