package check

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth/network"
)

// gatherKernel looks for the drivers without loading one.
func (c *Checker) gatherKernel() Kernel {
	k := Kernel{Release: kernelRelease(), Old: network.CheckKernel()}
	for _, d := range []struct{ kind, module string }{{"macvlan", "macvlan"}, {"ipvlan", "ipvlan"}, {vlanKind, "8021q"}} {
		known, err := c.Host.Knows(d.kind)
		k.Drivers = append(k.Drivers, Driver{Kind: d.kind, Known: known, Err: err,
			Module: c.moduleState(k.Release, d.module)})
	}
	return k
}

// kernelRelease returns the output of uname -r.
func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil { // its only error is EFAULT
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// moduleState looks for a module in sysfs and in the tree of modules (modules.dep(5)).
func (c *Checker) moduleState(release, name string) Module {
	m := Module{Name: name}
	tree := filepath.Join(c.underRoot("/lib/modules"), release)
	_, err := os.Stat(tree)
	m.NoTree = errors.Is(err, fs.ErrNotExist)
	m.Builtin = isListed(filepath.Join(tree, "modules.builtin"), name)
	m.Loadable = isListed(filepath.Join(tree, "modules.dep"), name)
	// Built-in code with parameters has a directory too, but no state.
	_, err = os.Stat(c.underRoot("/sys/module/" + name + "/initstate"))
	m.Loaded = err == nil
	locked, err := os.ReadFile(c.underRoot("/proc/sys/kernel/modules_disabled"))
	m.Locked = err == nil && strings.TrimSpace(string(locked)) == "1"
	return m
}

// isListed reports whether a list of modules has one: a path a line, up to a colon, of a file
// NAME.ko that may be compressed.
func isListed(file, name string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false // a kernel without modules has no list
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		before, _, _ := strings.Cut(lines.Text(), ":")
		module, _, isModule := strings.Cut(path.Base(before), ".ko")
		// The kernel treats - and _ in a module's name alike.
		if isModule && strings.ReplaceAll(module, "-", "_") == strings.ReplaceAll(name, "-", "_") {
			return true
		}
	}
	return false
}
