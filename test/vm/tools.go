package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"berth/test/command"
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
		path, err := exec.LookPath(name)
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
