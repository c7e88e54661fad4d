package check

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"berth/internal/config"
)

// File is a file or directory that root trusts.
type File struct {
	Path   string
	Exists bool
	Link   bool   // whether it is a symbolic link; the other fields describe its target
	Unsafe string // why other users than root could change it; "" if they cannot
	Exec   bool   // whether it is an executable regular file
	Err    error  // why it cannot be read
}

// Directories are berth's directories and files.
type Directories struct {
	StateFS Filesystem
	State   []File // STATE, and STATE/state
	Config  []File // CONFIG, berth.toml, networks.d and its files
}

func (c *Checker) gatherDirs() Directories {
	files := []string{c.Dirs.Config, filepath.Join(c.Dirs.Config, "berth.toml"), config.NetworksDir(c.Dirs.Config)}
	more, _ := filepath.Glob(config.NetworkFile(c.Dirs.Config, "*")) // the pattern is well formed
	d := Directories{StateFS: filesystemOf(c.Dirs.State)}
	for _, path := range append(files, more...) {
		d.Config = append(d.Config, examineFile(path))
	}
	for _, path := range []string{c.Dirs.State, filepath.Join(c.Dirs.State, "state")} {
		d.State = append(d.State, examineFile(path))
	}
	return d
}

// examineFile examines one file, but not the directories above it.
func examineFile(path string) File {
	f := File{Path: path}
	var link, st unix.Stat_t
	err := errors.Join(unix.Lstat(path, &link), unix.Stat(path, &st))
	if errors.Is(err, fs.ErrNotExist) {
		return f
	}
	if f.Exists, f.Err = true, err; err == nil {
		f.Link = link.Mode&unix.S_IFMT == unix.S_IFLNK
		f.Unsafe = config.UnsafeReason(path, &st)
		f.Exec = st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0
	}
	return f
}

// examineAbove examines a directory above an examined file. With the sticky bit no user can
// replace another's files there, so it may be open to all.
func examineAbove(path string) File {
	f := examineFile(path)
	var st unix.Stat_t
	if f.Unsafe != "" && unix.Stat(path, &st) == nil && st.Uid == 0 && st.Mode&unix.S_ISVTX != 0 {
		f.Unsafe = ""
	}
	return f
}

// stateRoom is the least room, in bytes, for the records of a start. A transaction writes some
// pages of the database; if it outgrows its file, it doubles that.
const stateRoom = 1 << 20

// judgeDirs checks directories by the rules of hook and agent.
func judgeDirs(r *report, d Directories) {
	switch {
	case d.StateFS.Err != nil:
		r.addWarn("state on", "run it as root", "not checked: %v", d.StateFS.Err)
	case d.StateFS.Free < stateRoom:
		r.addFail("state on", "delete what fills it, or make it larger",
			"the file system of %s is full (%d kB left), so no container can get an interface",
			d.StateFS.Path, d.StateFS.Free>>10)
	case d.StateFS.Magic == unix.TMPFS_MAGIC || d.StateFS.Magic == unix.RAMFS_MAGIC:
		r.addPass("state on", "tmpfs: %s", d.StateFS.Path)
	default:
		r.addWarn("state on", "mount a tmpfs at /run, or set --state to a directory on a tmpfs",
			"%s is not on a tmpfs: berth works, but sets its records aside after each reboot", d.StateFS.Path)
	}
	judgeFiles(r, "config", "does not exist, so every setting has its default", d.Config)
	for _, f := range d.State {
		if f.Link { // hook and agent follow no link there
			r.addFail("state", "set --state to the directory itself", "%s is a symbolic link", f.Path)
			return
		}
	}
	judgeFiles(r, "state", "does not exist yet; the first container creates it", d.State)
}

// judgeFiles adds one line on files that only root may be able to change.
func judgeFiles(r *report, check, none string, files []File) {
	exist := false
	for _, f := range files {
		exist = exist || f.Exists
		switch {
		case f.Err != nil:
			r.addWarn(check, "run it as root", "not checked: %v", f.Err)
			return
		case f.Exists && f.Unsafe != "":
			r.addFail(check, "check its content, then run "+commandText("chown root: %[1]s && chmod go-w %[1]s", f.Path),
				"%s %s, so users other than root can change it", f.Path, f.Unsafe)
			return
		}
	}
	if !exist {
		r.addPass(check, "%s: %s", files[0].Path, none)
		return
	}
	r.addPass(check, "%s: only root can change it", files[0].Path)
}
