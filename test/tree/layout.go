package tree

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth/test/cgroup"
)

// layout makes the tree the root directory of this process, with the file systems of
// a machine, and none of the machine's own.
func (s *setup) layout() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	root := filepath.Join(s.Scratch, "root")
	if err := s.mountRoot(root); err != nil {
		return err
	}
	groups := cgroup.Mounts()
	for _, step := range []func(root string) error{
		mountSystem, makeDevices, s.network, certificates,
		func(root string) error { return mountGroups(root, groups) },
		s.bind, pivot, s.finish,
	} {
		if err := step(root); err != nil {
			return err
		}
	}
	return nil
}

// mountRoot mounts the tree at root. It mounts an overlay, or the tree itself if
// changes are to stay, or a copy if the cache's file system cannot hold the changes
// of an overlay, as in a sandbox inside another.
func (s *setup) mountRoot(root string) error {
	upper, work := filepath.Join(s.Scratch, "upper"), filepath.Join(s.Scratch, "work")
	for _, dir := range []string{root, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if s.InPlace {
		return bindMount(s.Root, root, 0)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", s.Root, upper, work)
	var err error
	for _, more := range []string{",volatile", ""} { // kernel 5.10 and newer; no file has to survive a crash
		if err = unix.Mount("berth-tree", root, "overlay", 0, options+more); err == nil {
			return nil
		}
	}
	if out, copyErr := exec.Command("cp", "-a", "--reflink=auto", s.Root+"/.", root).CombinedOutput(); copyErr != nil {
		return fmt.Errorf("mount an overlay: %w; copy the tree: %w: %s", err, copyErr, out)
	}
	return bindMount(root, root, 0)
}

func bindMount(source, target string, flags uintptr) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %q to %q: %w", source, target, err)
	}
	if flags == 0 {
		return nil
	}
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
		return fmt.Errorf("make %q read-only: %w", target, err)
	}
	return nil
}

// mountSystem mounts the file systems of every Linux machine.
func mountSystem(root string) error {
	for _, m := range []struct{ kind, at, options string }{
		{"proc", "proc", ""},
		{"sysfs", "sys", ""},
		{"bpf", "sys/fs/bpf", "mode=700"},
		{"tmpfs", "run", "mode=755"},
		{"tmpfs", "tmp", "mode=1777"},
		{"tmpfs", "dev", "mode=755"},
		{"devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=620,gid=5"},
		{"tmpfs", "dev/shm", "mode=1777"},
		{"mqueue", "dev/mqueue", ""},
	} {
		at := filepath.Join(root, m.at)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("berth-tree", at, m.kind, 0, m.options); err != nil && m.kind != "mqueue" {
			return fmt.Errorf("mount a %s at /%s: %w", m.kind, m.at, err)
		}
	}
	return os.MkdirAll(filepath.Join(root, "run/lock"), 0o1777)
}

// makeDevices makes the device files, with the numbers of the kernel's
// Documentation/admin-guide/devices.txt.
func makeDevices(root string) error {
	for _, d := range []struct {
		name         string
		major, minor uint32
	}{
		{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"kmsg", 1, 11},
		{"tty", 5, 0}, {"net/tun", 10, 200}, {"fuse", 10, 229},
	} {
		name := filepath.Join(root, "dev", d.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := unix.Mknod(name, unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("make /dev/%s: %w", d.name, err)
		}
		if err := os.Chmod(name, 0o666); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(to, filepath.Join(root, "dev", name)); err != nil {
			return err
		}
	}
	return nil
}

// network copies the machine's name servers and its hosts file.
func (s *setup) network(root string) error {
	for _, name := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		if name == "/etc/hosts" {
			text = append(text, "\n127.0.1.1 debian\n"...)
		}
		if err := os.WriteFile(filepath.Join(root, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// certificates adds the authorities that this machine's administrator trusts (a
// proxy may have one) to those of the tree's package ca-certificates.
func certificates(root string) error {
	const bundle, local = "etc/ssl/certs/ca-certificates.crt", "usr/local/share/ca-certificates"
	names, err := filepath.Glob("/" + local + "/*.crt")
	if err != nil || len(names) == 0 || !exists(filepath.Join(root, bundle)) {
		return err
	}
	all, err := os.ReadFile(filepath.Join(root, bundle))
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		// update-ca-certificates(8) reads them from here.
		if err := os.WriteFile(filepath.Join(root, local, filepath.Base(name)), text, 0o644); err != nil {
			return err
		}
		if !strings.Contains(string(all), strings.TrimSpace(string(text))) {
			all = append(append(all, text...), '\n')
		}
	}
	return os.WriteFile(filepath.Join(root, bundle), all, 0o644)
}

// mountGroups mounts the cgroup hierarchies at the machine's paths, in a new cgroup
// namespace.
func mountGroups(root string, groups []cgroup.Mount) error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a cgroup namespace: %w", err)
	}
	if len(groups) == 0 {
		groups = []cgroup.Mount{{At: "/sys/fs/cgroup", Kind: "cgroup2"}}
	}
	top := filepath.Join(root, "sys/fs/cgroup")
	if groups[0].At != "/sys/fs/cgroup" {
		if err := unix.Mount("berth-tree", top, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount a tmpfs for cgroups: %w", err)
		}
	}
	for _, g := range groups {
		at := filepath.Join(root, g.At)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("berth-tree", at, g.Kind, 0, g.Options); err != nil {
			return fmt.Errorf("mount %s at %s: %w", g.Kind, g.At, err)
		}
	}
	return nil
}

// pivot makes root the root directory, and detaches the machine's file systems.
func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// The old root is stacked on top of the new one: pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("make the tree the root directory: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the machine's file systems: %w", err)
	}
	return os.Chdir("/")
}

// finish sets the host name, and brings lo up if the network namespace is new.
func (s *setup) finish(string) error {
	if err := unix.Sethostname([]byte("debian")); err != nil {
		return fmt.Errorf("name the host: %w", err)
	}
	if s.Dir != "" {
		if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
			return fmt.Errorf("directory %q is not in the tree: %w", s.Dir, errors.Join(err, unix.ENOTDIR))
		}
	}
	if !s.OwnNet {
		return nil
	}
	return loopbackUp()
}
