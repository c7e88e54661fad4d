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

// A tool is a set of programs that Debian does not package, or only in an older
// version. Each is built from its own module below test/engines/tools, because its
// dependencies conflict with those of berth and of the other tools.
type tool struct {
	name string
	pkgs []string
	tags string // "" for those of buildFlags
	c    cProgram
}

// A cProgram is a program in C of a Go module, compiled from all files of a directory.
type cProgram struct{ name, module, dir string }

var tools = []tool{
	{name: "crictl", pkgs: []string{"sigs.k8s.io/cri-tools/cmd/crictl"}},
	{name: "nerdctl", pkgs: []string{"github.com/containerd/nerdctl/v2/cmd/nerdctl"}},
	{name: "containerd", pkgs: []string{
		"github.com/containerd/containerd/v2/cmd/containerd",
		"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
		"github.com/containerd/containerd/v2/cmd/ctr",
	}},
	{
		name: "crio", pkgs: []string{"github.com/cri-o/cri-o/cmd/crio"},
		tags: "containers_image_openpgp exclude_graphdriver_btrfs",
		c:    cProgram{"pinns", "github.com/cri-o/cri-o", "pinns/src"},
	},
}

// buildFlags exclude code that needs C, and file systems that no test uses.
var buildFlags = []string{"-trimpath", "-ldflags", "-s -w", "-tags", "no_btrfs no_devmapper no_zfs"}

func (t tool) flags() []string {
	if t.tags == "" {
		return buildFlags
	}
	return slices.Concat(buildFlags, []string{"-tags", t.tags}) // the last one counts
}

// A toolbox builds the tools of the selected engines one after another, in the order
// of the table, while engines that need none are tested.
type toolbox struct {
	builds []*toolBuild
	cancel context.CancelFunc
}

// A toolBuild is the build of one tool. err may be read once done is closed.
type toolBuild struct {
	tool
	done chan struct{}
	err  error
}

// startTools starts to build tools, into directories of their names.
func startTools(ctx context.Context, o *options, dir string) (*toolbox, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	box := &toolbox{cancel: cancel}
	for _, t := range tools {
		if o.needs(t.name) {
			box.builds = append(box.builds, &toolBuild{tool: t, done: make(chan struct{})})
		}
	}
	go func() {
		for _, b := range box.builds {
			b.err = b.addTo(ctx, dir)
			close(b.done)
		}
	}()
	return box, nil
}

// wait waits until tools are built, and returns the error of the first that failed.
func (box *toolbox) wait(names []string) error {
	for _, b := range box.builds {
		if !slices.Contains(names, b.name) {
			continue
		}
		if <-b.done; b.err != nil {
			return b.err
		}
	}
	return nil
}

// Close ends the builds and waits for their end.
func (box *toolbox) Close() {
	box.cancel()
	for _, b := range box.builds {
		<-b.done
	}
}

// addTo builds the tool, unless the cache has it, and copies it.
func (t tool) addTo(ctx context.Context, dir string) error {
	path, err := t.cached(ctx)
	if err != nil {
		return fmt.Errorf("build %s: %w", t.name, err)
	}
	if err := exec.CommandContext(ctx, "cp", "-r", path, filepath.Join(dir, t.name)).Run(); err != nil {
		return fmt.Errorf("copy %q: %w", path, err)
	}
	return nil
}

// path returns the PATH of an engine's tests, with its tools first.
func (e engine) path() string {
	var dirs []string
	for _, name := range e.tools {
		dirs = append(dirs, filepath.Join(shareDir, "tools", name))
	}
	return strings.Join(append(dirs, "/usr/sbin:/usr/bin:/sbin:/bin"), ":")
}

// needs reports whether a selected engine uses a tool.
func (o *options) needs(name string) bool {
	return slices.ContainsFunc(engines, func(e engine) bool {
		return slices.Contains(e.tools, name) &&
			slices.ContainsFunc(o.suites, func(suite string) bool { return o.wants(e, suite) })
	})
}

// cached returns the directory of a tool in the cache. It builds the tool unless the
// cache has it, built from the same sources by the same Go.
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
	defer os.RemoveAll(unfinished) // after a success it does not exist
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return "", err
	}
	fmt.Printf("engines: building %s\n", t.name)
	args := slices.Concat([]string{"build"}, t.flags(), []string{"-o", unfinished + "/"}, t.pkgs)
	if err := command.Go(ctx, module, args...); err != nil {
		return "", err
	}
	if t.c.name != "" {
		if err := t.c.build(ctx, module, unfinished); err != nil {
			return "", err
		}
	}
	err = os.Rename(unfinished, path)
	if _, missing := os.Stat(path); missing == nil {
		err = nil // another run built it meanwhile
	}
	return path, err
}

// build compiles the program statically, so that it runs in every tree.
func (p cProgram) build(ctx context.Context, module, into string) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", p.module)
	list.Dir = module
	source, err := list.Output()
	if err != nil {
		return fmt.Errorf("find the sources of %s: %w", p.module, err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(source)), p.dir, "*.c"))
	if err != nil {
		return err
	}
	args := append([]string{"-O2", "-static", "-o", filepath.Join(into, p.name)}, files...)
	if out, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s: %w: %s", p.name, err, out)
	}
	return nil
}

// key returns the tool's name in the cache: its name and a hash of all its inputs.
func (t tool) key(module string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOARCH, t.flags(), t.pkgs)
	if t.c.name != "" {
		fmt.Fprintln(sum, t.c)
	}
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
