package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"berth/test/command"
	"berth/test/tree"
)

// A tool is programs that Debian does not package, or not as new. They are built
// from a module of their own below test/engines/tools, whose versions do not meet
// those of berth, nor of another tool.
type tool struct {
	name string
	pkgs []string
}

var tools = []tool{
	{"crictl", []string{"sigs.k8s.io/cri-tools/cmd/crictl"}},
	{"nerdctl", []string{"github.com/containerd/nerdctl/v2/cmd/nerdctl"}},
	{"containerd", []string{
		"github.com/containerd/containerd/v2/cmd/containerd",
		"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
		"github.com/containerd/containerd/v2/cmd/ctr",
	}},
}

// buildFlags leave out what takes C, or a file system that no test has.
var buildFlags = []string{"-trimpath", "-ldflags", "-s -w", "-tags", "no_btrfs no_devmapper no_zfs"}

// addTools puts the tools of the wanted engines into directories of their names.
func addTools(ctx context.Context, o *options, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, t := range tools {
		if !o.needs(t.name) {
			continue
		}
		path, err := t.cached(ctx)
		if err != nil {
			return fmt.Errorf("build %s: %w", t.name, err)
		}
		if err := exec.CommandContext(ctx, "cp", "-r", path, filepath.Join(dir, t.name)).Run(); err != nil {
			return fmt.Errorf("copy %q: %w", path, err)
		}
	}
	return nil
}

// path is the value of PATH for an engine's tests: its tools come first.
func (e engine) path() string {
	var dirs []string
	for _, name := range e.tools {
		dirs = append(dirs, filepath.Join(shareDir, "tools", name))
	}
	return strings.Join(append(dirs, "/usr/sbin:/usr/bin:/sbin:/bin"), ":")
}

// needs reports whether an engine that is wanted takes a tool.
func (o *options) needs(name string) bool {
	return slices.ContainsFunc(engines, func(e engine) bool {
		return slices.Contains(e.tools, name) &&
			slices.ContainsFunc(o.suites, func(suite string) bool { return o.wants(e, suite) })
	})
}

// cached returns the directory of a tool in the cache, and builds it unless the
// cache has it of the same sources and Go.
func (t tool) cached(ctx context.Context) (string, error) {
	module, err := filepath.Abs(filepath.Join("test/engines/tools", t.name))
	if err != nil {
		return "", err
	}
	key, err := t.key(module)
	if err != nil {
		return "", err
	}
	path := filepath.Join(tree.Cache(), "tools", key)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unfinished := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.RemoveAll(unfinished) // it is not there if all went well
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return "", err
	}
	fmt.Printf("engines: building %s\n", t.name)
	args := slices.Concat([]string{"build"}, buildFlags, []string{"-o", unfinished + "/"}, t.pkgs)
	if err := command.Go(ctx, module, args...); err != nil {
		return "", err
	}
	err = os.Rename(unfinished, path)
	if _, missing := os.Stat(path); missing == nil {
		err = nil // another run has built it meanwhile
	}
	return path, err
}

// key is a name in the cache: the tool's, and the sum of all that it depends on.
func (t tool) key(module string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOARCH, buildFlags, t.pkgs)
	for _, name := range []string{"go.mod", "go.sum"} {
		f, err := os.Open(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, f)
		_ = f.Close()
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s-%x", t.name, sum.Sum(nil)[:6]), nil
}
