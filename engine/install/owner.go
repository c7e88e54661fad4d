package install

import (
	"io/fs"
	"os"
	"syscall"
)

// ownerOf returns a file's user and group, or -1, which changes nothing, if the file system
// does not report them.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
