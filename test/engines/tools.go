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

	"berth/test/tree"
)

// A tool is a program that Debian does not package. It is built from a module of
// its own below test/engines/tools, whose versions do not meet those of berth,
// nor of another tool.
type tool struct {
	name, pkg string
}

var tools = []tool{
	{"crictl", "sigs.k8s.io/cri-tools/cmd/crictl"},
	{"nerdctl", "github.com/containerd/nerdctl/v2/cmd/nerdctl"},
}

// addTools puts the tools of the wanted engines into a directory.
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
		if err := exec.CommandContext(ctx, "cp", path, filepath.Join(dir, t.name)).Run(); err != nil {
			return fmt.Errorf("copy %q: %w", path, err)
		}
	}
	return nil
}

// needs reports whether an engine that is wanted takes a tool.
func (o *options) needs(name string) bool {
	return slices.ContainsFunc(engines, func(e engine) bool {
		return slices.Contains(e.tools, name) &&
			slices.ContainsFunc(o.suites, func(suite string) bool { return o.wants(e, suite) })
	})
}

// cached returns the path of a tool in the cache, and builds it unless the cache
// has it of the same sources and Go.
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
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	unfinished := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(unfinished) // it is not there if all went well
	fmt.Printf("engines: building %s\n", t.name)
	if err := runGo(ctx, module, "build", "-trimpath", "-ldflags", "-s -w", "-o", unfinished, t.pkg); err != nil {
		return "", err
	}
	return path, os.Rename(unfinished, path)
}

// key is a name in the cache: the tool's, and the sum of all that it depends on.
func (t tool) key(module string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOARCH)
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
