package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// explain adds to an error what a person can do about it, and keeps it to one
// line.
func explain(err error) error {
	switch _, noBTF := os.Stat("/sys/kernel/btf/vmlinux"); {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		err = fmt.Errorf("%w: other maps are pinned there; `berth agent detach --purge` removes them, with their counts", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: berthd needs to be root with CAP_BPF and CAP_NET_ADMIN", err)
	case errors.Is(err, unix.EADDRINUSE):
		err = fmt.Errorf("%w: something else listens there; choose another address with --metrics, or \"\" for none", err)
	case errors.Is(err, ebpf.ErrNotSupported) && noBTF != nil:
		err = fmt.Errorf("%w: this kernel has no BTF; one with CONFIG_DEBUG_INFO_BTF has", err)
	case errors.Is(err, ebpf.ErrNotSupported):
		err = fmt.Errorf("%w: the kernel is too old; berth needs 5.14", err)
	}
	if text := err.Error(); strings.Contains(text, "\n") {
		return errors.New(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
	}
	return err
}
