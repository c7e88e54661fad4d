package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// layout mounts the isolated space's own file systems. It leaves the calling goroutine on
// a thread in a new cgroup namespace, from which the main process must be started.
func layout() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a cgroup namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	for _, m := range []struct{ kind, at, options string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"bpf", "/sys/fs/bpf", ""},
		{"cgroup2", "/sys/fs/cgroup", ""},
		{"tmpfs", "/run", "mode=755"},
		{"tmpfs", "/dev/shm", "mode=1777"},
	} {
		if err := unix.Mount("berth-lab", m.at, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("mount a %s on %s: %w", m.kind, m.at, err)
		}
	}
	for _, dir := range []string{Dir, Dir + "/tmp", "/run/netns", "/run/lock"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := leaveGroupRoot(); err != nil {
		return err
	}
	for _, dir := range []string{"/etc", "/usr/share/containers"} {
		if err := ownCopy(dir); err != nil {
			return err
		}
	}
	if err := firstError(hideLeases(), linkPlugins()); err != nil {
		return err
	}
	return command("ip", "link", "set", "lo", "up")
}

// hideLeases gives CNI's plugins an empty directory for the addresses that they give out, so that a
// container that ends with the isolated space leaves none in use.
func hideLeases() error {
	const dir = "/var/lib/cni"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("berth-lab", dir, "tmpfs", 0, "mode=700"); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
	}
	return nil
}

// linkPlugins makes Debian's CNI plugins visible in upstream's directory too, on an overlay
// of /opt: ctr 1.7 deletes a network only with the plugins there.
func linkPlugins() error {
	const debian, upstream = "/usr/lib/cni", "/opt/cni/bin"
	_, missing := os.Stat(debian)
	_, noOpt := os.Stat("/opt")
	if _, err := os.Stat(upstream); err == nil || missing != nil || noOpt != nil {
		return nil
	}
	upper, work := Dir+"/own-opt/upper", Dir+"/own-opt/work"
	if err := firstError(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	options := "lowerdir=/opt,upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("berth-lab", "/opt", "overlay", 0, options); err != nil {
		return fmt.Errorf("mount an overlay on /opt: %w", err)
	}
	return firstError(os.MkdirAll(filepath.Dir(upstream), 0o755), os.Symlink(debian, upstream))
}

// leaveGroupRoot moves this process to a leaf, because a group with processes cannot
// enable controllers for its children.
func leaveGroupRoot() error {
	leaf := "/sys/fs/cgroup/init"
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	return os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0)
}

// ownCopy mounts a copy of a directory over it, so that files can be at their usual paths
// without changes to the machine.
func ownCopy(dir string) error {
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return nil
	}
	copied := filepath.Join(Dir, "own", dir)
	if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
		return err
	}
	if err := command("cp", "-a", dir, copied); err != nil {
		return err
	}
	if err := unix.Mount(copied, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("put a copy of %s over it: %w", dir, err)
	}
	return nil
}
