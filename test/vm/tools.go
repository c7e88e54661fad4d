package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"berth/test/command"
	debian "berth/test/tree"
)

// tools are the programs of this machine that tests run.
var tools = []string{
	"awk", "cat", "echo", "false", "grep", "head", "kill", "ls", "mkdir", "mount", "rm", "sh", "sleep",
	"touch", "true", "umount",
	"ethtool", "ip", "nsenter", "ping", "setpriv", "systemd-analyze", "tc", "unshare",
	"dhcpd", "dnsmasq", "etcd", "kea-dhcp4", "kea-dhcp6",
}

// files are the files of this machine that tests read.
var files = []string{"/usr/include/x86_64-linux-gnu/asm/unistd_64.h"}

// addFiles adds the files.
func (t tree) addFiles() {
	for _, name := range files {
		t.put(strings.TrimPrefix(name, "/"), entry{mode: typeFile | 0o644, source: name})
	}
}

// addTools adds programs of this machine with their libraries.
func (t tree) addTools(ctx context.Context, names []string) error {
	for _, name := range names {
		path, err := findTool(name)
		if err != nil {
			return err
		}
		t.program("bin/"+name, path)
		out, err := command.Output(ctx, "", "ldd", path)
		if err != nil {
			return err
		}
		libraries, err := parseLdd(out)
		if err != nil {
			return fmt.Errorf("libraries of %s: %w", path, err)
		}
		for _, library := range libraries {
			t.program(strings.TrimPrefix(library, "/"), library)
		}
	}
	return nil
}

// findTool returns the path of a program of this machine: one of PATH, or one that scripts/deps.sh has
// extracted from its package to the cache.
func findTool(name string) (string, error) {
	for _, file := range []string{name, filepath.Join(debian.Cache(), "bin", name)} {
		if path, err := exec.LookPath(file); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %q is not installed; install it first: scripts/deps.sh vm", name)
}

// parseLdd returns the paths that ldd names: "NAME => PATH (ADDRESS)", or
// "PATH (ADDRESS)" for the loader. The kernel's own library has no path.
func parseLdd(out string) ([]string, error) {
	var paths []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "=> not found") {
			return nil, fmt.Errorf("missing: %s", strings.TrimSpace(line))
		}
		for field := range strings.FieldsSeq(line) {
			if strings.HasPrefix(field, "/") {
				paths = append(paths, field)
			}
		}
	}
	return paths, nil
}
