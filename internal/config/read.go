package config

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxFile is how long a file may be, in bytes: a network's with a thousand
// excluded addresses has some 20,000.
const maxFile = 1 << 20

// read reads a regular file, or what a link to one leads to. It never waits, as
// opening a FIFO or reading a device may.
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
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("%s: %d bytes: want at most %d", path, max(info.Size(), int64(len(data))), maxFile)
	}
	return data, err
}
