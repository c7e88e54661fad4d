package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// tools are the programs of this machine that tests run; for others there is
// busybox.
var tools = []string{"ethtool", "ip", "nsenter", "ping", "setpriv"}

// addTools adds the programs and their libraries, and busybox with all its
// applets under their names.
func (t tree) addTools(ctx context.Context) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	t.program("bin/busybox", busybox)
	applets, err := output(ctx, "", busybox, "--list")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(applets) {
		if name != "busybox" {
			t.symlink("bin/"+name, "busybox")
		}
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
