package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"berth/test/command"
	"berth/test/tree"
)

// base are the packages of every machine; more are those of a suite on which
// containers run too.
var (
	base = []string{
		"systemd", "systemd-sysv", "dbus", "udev", "iproute2", "init-system-helpers", "kmod", "procps",
		"initramfs-tools", "zstd", "linux-image-cloud-amd64",
	}
	more = map[string][]string{
		"trixie": {"podman", "crun", "netavark", "busybox-static"},
	}
)

// units are the machine's own units. A unit that a target wants names that target in
// its section [Install].
//
//go:embed units
var units embed.FS

// bootFiles are the kernel and the initrd of a machine.
type bootFiles struct{ kernel, initrd string }

// makeRoot makes the image of a machine's root file system, and returns the files to
// boot it.
func makeRoot(ctx context.Context, suite, image string) (*bootFiles, error) {
	t, err := tree.Build(ctx, suite, append(more[suite], base...)...)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	note("making an image of " + suite)
	if err := makeImage(ctx, t.Dir, image, "3G"); err != nil {
		return nil, err
	}
	if err := addUnits(ctx, image); err != nil {
		return nil, err
	}
	boot := new(bootFiles)
	for pattern, to := range map[string]*string{"vmlinuz-*": &boot.kernel, "initrd.img-*": &boot.initrd} {
		found, err := filepath.Glob(filepath.Join(t.Dir, "boot", pattern))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("the tree has %d files %s in /boot: %w", len(found), pattern, err)
		}
		*to = filepath.Join(filepath.Dir(image), suite+"-"+strings.TrimSuffix(pattern, "-*"))
		if err := command.Execute(ctx, nil, "cp", found[0], *to); err != nil {
			return nil, err
		}
	}
	return boot, nil
}

// addUnits writes the units into an image, enabled.
func addUnits(ctx context.Context, image string) error {
	dir, err := os.MkdirTemp(filepath.Dir(image), "units-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	names, err := units.ReadDir("units")
	if err != nil {
		return err
	}
	var commands strings.Builder
	const etc = "/etc/systemd/system/"
	for _, entry := range names {
		text, err := units.ReadFile("units/" + entry.Name())
		if err != nil {
			return err
		}
		file := filepath.Join(dir, entry.Name())
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		_, target, _ := strings.Cut(string(text), "WantedBy=")
		wants := etc + strings.TrimSpace(target) + ".wants"
		fmt.Fprintf(&commands, "write %s %s%s\nmkdir %s\nsymlink %s/%s %s%s\n",
			file, etc, entry.Name(), wants, wants, entry.Name(), etc, entry.Name())
	}
	script := filepath.Join(dir, "commands")
	if err := os.WriteFile(script, []byte(commands.String()), 0o644); err != nil {
		return err
	}
	return command.Execute(ctx, nil, "debugfs", "-w", "-f", script, image)
}
