package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxFile is how long a file may be, in bytes: a network's with a thousand
// excluded addresses has some 20,000.
const maxFile = 1 << 20

// ErrUnsafe is of a file that others than root can change, where it decides
// what is done as root.
var ErrUnsafe = errors.New("others than root decide what is done as root")

// read reads a regular file, or what a link to one leads to. It never waits, as
// opening a FIFO or reading a device may. Root reads only what no other user
// can change; the directories above are not looked at.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // os adds O_CLOEXEC
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: want a regular file, not mode %s", path, info.Mode())
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("%s: %d bytes: want at most %d", path, max(info.Size(), int64(len(data))), maxFile)
	}
	return data, err
}

// checkOwner refuses, as root, a file that another user could have written.
func checkOwner(path string, info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	var why string
	switch {
	case os.Geteuid() != 0 || !ok:
		return nil
	case st.Uid != 0:
		why = fmt.Sprintf("belongs to user %d", st.Uid)
	case st.Mode&0o022 != 0:
		why = fmt.Sprintf("has mode %04o", st.Mode&0o7777)
	default:
		return nil
	}
	return fmt.Errorf("%[1]s %[2]s: %[3]w: chown root: %[1]s && chmod go-w %[1]s", path, why, ErrUnsafe)
}
