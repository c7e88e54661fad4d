package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// A file of another program must not stop a container's start.
func TestReadsRegularFilesOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"FIFO":      {func(path string) error { return unix.Mkfifo(path, 0o644) }, "is not a regular file, but a FIFO"},
		"device":    {func(path string) error { return os.Symlink("/dev/zero", path) }, "is not a regular file, but a device"},
		"directory": {func(path string) error { return os.Mkdir(path, 0o755) }, "is not a regular file, but a directory"},
		"socket": {func(path string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			return errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Close(fd))
		}, "no such device or address"},
		"too long": {func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40))
		}, "1099511627776 bytes; at most 1048576 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := NetworkFile(dir, "lan")
			err := errors.Join(os.Mkdir(NetworksDir(dir), 0o755), c.make(path), os.Symlink(path, filepath.Join(dir, "berth.toml")))
			if err != nil {
				t.Fatal(err)
			}
			wantSoon(t, path, c.want, func() error { _, err := Network(dir, "lan"); return err })
			wantSoon(t, path, c.want, func() error { _, errs := Networks(dir); return errors.Join(errs...) })
			wantSoon(t, filepath.Join(dir, "berth.toml"), c.want, func() error { _, err := Load(dir); return err })
		})
	}
}

func wantSoon(t *testing.T, path, want string, read func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- read() }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q and %q", err, path, want)
		}
	case <-time.After(time.Minute):
		t.Error("it still waits after a minute")
	}
}

func TestReadsUpToTheMost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "berth.toml")
	writeText(t, path, strings.Repeat("#", maxFile-1)+"\n")
	if _, err := Load(dir); err != nil {
		t.Error(err)
	}
	writeText(t, path, strings.Repeat("#", maxFile)+"\n")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "1048577 bytes; at most 1048576 are allowed") {
		t.Errorf("one byte more: %v", err)
	}
}

// A file that controls actions of root must be root's own.
func TestRefusesFilesOfOthers(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root) // without root nothing is refused, and files cannot be given away
	for name, c := range map[string]struct {
		change func(path string) error
		want   string // "" if the file is read
	}{
		"root's":           {func(path string) error { return os.Chmod(path, 0o600) }, ""},
		"read by all":      {func(path string) error { return os.Chmod(path, 0o644) }, ""},
		"another's":        {func(path string) error { return os.Chown(path, 1000, 0) }, "belongs to user 1000"},
		"of another group": {func(path string) error { return os.Chown(path, 0, 1000) }, ""},
		"group-writable":   {func(path string) error { return os.Chmod(path, 0o664) }, "has mode 0664"},
		"world-writable":   {func(path string) error { return os.Chmod(path, 0o602) }, "has mode 0602"},
		"a link to another's": {func(path string) error {
			return errors.Join(os.Rename(path, path+".of"), os.Chown(path+".of", 1000, 0), os.Symlink(path+".of", path))
		}, "belongs to user 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			network, config := NetworkFile(dir, "lan"), filepath.Join(dir, "berth.toml")
			writeText(t, network, "parent = \"eth1\"\n")
			writeText(t, config, "[policy]\nstatic_ips = true\n")
			if err := errors.Join(c.change(network), c.change(config)); err != nil {
				t.Fatal(err)
			}
			_, err := Network(dir, "lan")
			_, errs := Networks(dir)
			wantUnsafe(t, network, c.want, err)
			wantUnsafe(t, network, c.want, errors.Join(errs...))
			_, err = Load(dir)
			wantUnsafe(t, config, c.want, err)
		})
	}
}

// TestRefusesDirectoriesOfOthers: in a directory that others can write they can rename root's files.
func TestRefusesDirectoriesOfOthers(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	for name, c := range map[string]struct {
		change func(path string) error
		want   string // "" if it is read
	}{
		"root's":           {func(path string) error { return os.Chmod(path, 0o700) }, ""},
		"read by all":      {func(path string) error { return os.Chmod(path, 0o755) }, ""},
		"of another group": {func(path string) error { return os.Chown(path, 0, 1000) }, ""},
		"another's":        {func(path string) error { return os.Chown(path, 1000, 0) }, "belongs to user 1000"},
		"group-writable":   {func(path string) error { return os.Chmod(path, 0o775) }, "has mode 0775"},
		"world-writable":   {func(path string) error { return os.Chmod(path, 0o777) }, "has mode 0777"},
		"sticky":           {func(path string) error { return unix.Chmod(path, 0o1777) }, "has mode 1777"},
		"a link to root's": {moved, ""},
		"a link to another's": {func(path string) error {
			return errors.Join(os.Chown(path, 1000, 0), moved(path))
		}, "belongs to user 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, unsafe := range []func(string) string{func(dir string) string { return dir }, NetworksDir} {
				dir := filepath.Join(t.TempDir(), "berth")
				writeText(t, NetworkFile(dir, "lan"), "parent = \"eth1\"\n")
				path := unsafe(dir)
				if err := c.change(path); err != nil {
					t.Fatal(err)
				}
				_, err := Network(dir, "lan")
				_, errs := Networks(dir)
				wantUnsafe(t, path, c.want, err)
				wantUnsafe(t, path, c.want, errors.Join(errs...))
				wantUnsafe(t, path, c.want, Save(dir, &specs.Network{Name: "other", Parent: "eth1"}))
				if path == dir {
					_, err = Load(dir)
					wantUnsafe(t, path, c.want, err)
				}
			}
		})
	}
}

// TestReadsAConfigMap reads a directory of mode 0777 on a read-only mount, as Kubernetes mounts a ConfigMap.
func TestReadsAConfigMap(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	dir := filepath.Join(t.TempDir(), "berth")
	networks := NetworksDir(dir)
	if err := os.MkdirAll(networks, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", networks, "tmpfs", 0, "mode=0777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(networks, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	writeText(t, NetworkFile(dir, "lan"), "parent = \"eth1\"\n")
	_, err := Network(dir, "lan")
	wantUnsafe(t, networks, "has mode 0777", err)
	if err := unix.Mount("none", networks, "", unix.MS_REMOUNT|unix.MS_RDONLY, "mode=0777"); err != nil {
		t.Fatal(err)
	}
	if all, errs := Networks(dir); len(all) != 1 || len(errs) > 0 {
		t.Errorf("networks %v, %v", all, errs)
	}
}

// moved moves a directory away and makes a link to it.
func moved(path string) error {
	return errors.Join(os.Rename(path, path+".of"), os.Symlink(path+".of", path))
}

func wantUnsafe(t *testing.T, path, want string, err error) {
	t.Helper()
	remedy := "chown root: " + path + " && chmod go-w " + path
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want == "":
	case !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), path+`" `+want) || !strings.Contains(err.Error(), remedy):
		t.Errorf("error %v, want ErrUnsafe with %q and %q", err, path+" "+want, remedy)
	}
}

// A dangling link is a mistake, not a configuration with all defaults.
func TestRefusesDanglingLinks(t *testing.T) {
	t.Parallel()
	for link, reads := range map[string]map[string]func(dir string) error{
		"berth.toml": {"Load": func(dir string) error { _, err := Load(dir); return err }},
		"networks.d/lan.toml": {
			"Network":  func(dir string) error { _, err := Network(dir, "lan"); return err },
			"Networks": func(dir string) error { _, errs := Networks(dir); return errors.Join(errs...) },
		},
		"networks.d": {
			"Network":  func(dir string) error { _, err := Network(dir, "lan"); return err },
			"Networks": func(dir string) error { _, errs := Networks(dir); return errors.Join(errs...) },
		},
		"": {
			"Load":     func(dir string) error { _, err := Load(dir); return err },
			"Networks": func(dir string) error { _, errs := Networks(dir); return errors.Join(errs...) },
		},
	} {
		dir := filepath.Join(t.TempDir(), "berth")
		path := filepath.Join(dir, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink("nowhere", path)); err != nil {
			t.Fatal(err)
		}
		for name, read := range reads {
			if err := read(dir); !errors.Is(err, ErrDangling) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path+`" is`) {
				t.Errorf("%s with the dangling link %q: error %v, want ErrDangling with its path", name, link, err)
			}
		}
	}
}
