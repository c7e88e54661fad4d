package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// tools are the programs of this machine that tests run.
var tools = []string{"ethtool", "ip", "nsenter", "ping", "setpriv", "tc"}

// applets are those that busybox stands in for: where it does the same.
var applets = []string{"cat", "echo", "false", "kill", "ls", "sh", "sleep", "true"}

// addTools adds the programs with their libraries, and busybox.
func (t tree) addTools(ctx context.Context) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	t.program("bin/busybox", busybox)
	for _, name := range applets {
		t.symlink("bin/"+name, "busybox")
	}
	for _, name := range tools {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		t.program("bin/"+name, path)
		out, err := output(ctx, "", "ldd", path)
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
