package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/test/command"
	"berth/test/tree"
)

// base are the packages of every bootable tree; more are those of a suite on which
// containers run too. forky has a docker that starts containers on networks of drivers.
var (
	base = []string{
		"systemd", "systemd-sysv", "dbus", "udev", "iproute2", "init-system-helpers", "kmod", "procps",
		"initramfs-tools", "zstd", "linux-image-cloud-amd64", "runc", "busybox-static", "dnsmasq-base",
	}
	more = map[string][]string{
		"trixie": {"podman", "crun", "netavark"},
		"forky":  {"docker.io", "docker-cli", "containerd"},
	}
)

// Debian returns a tree of a suite with a kernel, systemd and, on trixie, podman, on forky docker.
func Debian(ctx context.Context, suite string) (*tree.Tree, error) {
	return tree.Build(ctx, suite, slices.Concat(more[suite], base)...)
}

// BootFiles are the kernel and the initrd of a machine.
type BootFiles struct{ Kernel, Initrd string }

// CopyBootFiles copies the kernel and the initrd of a tree into a directory.
func CopyBootFiles(ctx context.Context, t *tree.Tree, dir string) (*BootFiles, error) {
	boot := new(BootFiles)
	for pattern, to := range map[string]*string{"vmlinuz-*": &boot.Kernel, "initrd.img-*": &boot.Initrd} {
		found, err := filepath.Glob(filepath.Join(t.Dir, "boot", pattern))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("the tree has %d files %s in /boot: %w", len(found), pattern, err)
		}
		*to = filepath.Join(dir, t.Suite+"-"+strings.TrimSuffix(pattern, "-*"))
		if err := command.Execute(ctx, nil, "cp", found[0], *to); err != nil {
			return nil, err
		}
	}
	return boot, nil
}

// MakeImage makes an ext4 file system with the content of a directory.
func MakeImage(ctx context.Context, dir, image, size string) error {
	if err := command.Execute(ctx, nil, "truncate", "-s", size, image); err != nil {
		return err
	}
	return command.Execute(ctx, nil, "mkfs.ext4", "-q", "-F", "-d", dir, image)
}

// ChangeImage runs commands of debugfs on an image.
func ChangeImage(ctx context.Context, image, commands string) error {
	script := image + ".commands"
	if err := os.WriteFile(script, []byte(commands), 0o644); err != nil {
		return err
	}
	defer os.Remove(script)
	return command.Execute(ctx, nil, "debugfs", "-w", "-f", script, image)
}
