package sys

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pointer is an __aligned_u64 that holds an address. Go's runtime sees it as one, and corrects
// it if it moves the stack. berth is built for machines with 64 bits alone.
type pointer = unsafe.Pointer

var _ [8]byte = [unsafe.Sizeof(pointer(nil))]byte{}

// bpfCall makes a call of bpf(2).
func bpfCall[A any](command int, attr *A) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// openObject makes a call that returns a file descriptor. It is never one of the standard streams,
// which the caller may have closed. The kernel sets FD_CLOEXEC.
func openObject[A any](command int, attr *A) (int, error) {
	fd, err := bpfCall(command, attr)
	if err != nil || fd > 2 {
		return fd, err
	}
	defer unix.Close(fd)
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
}

type objectAttr struct {
	path pointer
	fd   uint32
	_    uint32 // flags
}

// openPinned opens the object that is pinned at a path.
func openPinned(path string) (int, error) {
	text, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	fd, err := openObject(unix.BPF_OBJ_GET, &objectAttr{path: pointer(text)})
	if err != nil {
		return -1, &os.PathError{Op: "open pinned object", Path: path, Err: err}
	}
	return fd, nil
}

// Pin pins the object of a file descriptor.
func Pin(fd int, path string) error {
	text, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	if _, err := bpfCall(unix.BPF_OBJ_PIN, &objectAttr{path: pointer(text), fd: uint32(fd)}); err != nil {
		return &os.PathError{Op: "pin object", Path: path, Err: err}
	}
	return nil
}

type infoAttr struct {
	fd     uint32
	length uint32
	info   pointer
}

// readInfo reads the kernel's information on an object, up to the size of info.
func readInfo[I any](fd int, info *I) error {
	attr := infoAttr{fd: uint32(fd), length: uint32(unsafe.Sizeof(*info)), info: pointer(info)}
	if _, err := bpfCall(unix.BPF_OBJ_GET_INFO_BY_FD, &attr); err != nil {
		return fmt.Errorf("read information on an object: %w", err)
	}
	return nil
}

// object is a file descriptor of a map, a program or a link.
type object struct{ fd int }

// FD returns the file descriptor, which stays the object's.
func (o object) FD() int { return o.fd }

func (o object) close() error {
	if err := unix.Close(o.fd); err != nil {
		return os.NewSyscallError("close", err)
	}
	return nil
}

// Program is a program of a kernel.
type Program struct{ object }

// LoadPinnedProgram opens a pinned program. The error wraps fs.ErrNotExist if there is none.
func LoadPinnedProgram(path string) (*Program, error) {
	fd, err := openPinned(path)
	if err != nil {
		return nil, err
	}
	return &Program{object{fd}}, nil
}

// Close closes the file descriptor.
func (p *Program) Close() error { return p.close() }

// ProgramID returns the kernel's id of the program of a file descriptor.
func ProgramID(fd int) (uint32, error) {
	var info struct{ kind, id uint32 }
	err := readInfo(fd, &info)
	return info.id, err
}

// ErrNotSupported is returned if the kernel has no tcx (Linux 6.6).
var ErrNotSupported = errors.New("the kernel has no tcx")
