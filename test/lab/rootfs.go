package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Rootfs makes a root file system for containers from the machine's own busybox, so that
// nothing is downloaded. Several containers can use it at once, also read-only.
func Rootfs(dir string) error {
	for _, sub := range []string{"bin", "dev", "etc", "proc", "run", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("make a root file system: %w", err)
	}
	if err := copyWithLibraries(busybox, dir); err != nil {
		return err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("list the commands of %s: %w", busybox, err)
	}
	for _, applet := range strings.Fields(string(applets)) {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", applet)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	// Engines mount their own files over these. In a user namespace an engine could
	// not create them.
	for _, file := range []string{"etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0:root:/:/bin/sh\n"), 0o644)
}

// copyWithLibraries copies busybox and, if it is not static, the libraries that ldd(1)
// prints.
func copyWithLibraries(busybox, dir string) error {
	if err := command("cp", "-L", busybox, filepath.Join(dir, "bin/busybox")); err != nil {
		return err
	}
	libraries, err := exec.Command("ldd", busybox).Output()
	if err != nil { // "not a dynamic executable"
		return nil
	}
	for _, field := range strings.Fields(string(libraries)) {
		if !filepath.IsAbs(field) {
			continue
		}
		to := filepath.Join(dir, field)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := command("cp", "-L", field, to); err != nil {
			return err
		}
	}
	return nil
}
