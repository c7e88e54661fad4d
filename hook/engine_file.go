package hook

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"berth/internal/plain"
)

// maxEngineFile bounds the size of an engine's file, in bytes. podman's list of some 1,000 containers
// has 1 MB, and podman itself refuses an image's manifest of more than 4 MiB.
const maxEngineFile = 32 << 20

// readEngineFile decodes a JSON file of an engine, which belongs to a container or its image. It
// returns false if there is no such regular file, if the file is too large, or if it has another
// form, as that of another engine has. It never waits, as opening a FIFO may.
func readEngineFile(path string, into any) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxEngineFile {
		return false
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return false
	}
	return plain.Unmarshal(data, into) == nil
}
