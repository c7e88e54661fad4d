package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/internal/testnet"
	"berth/test/command"
	"berth/test/machine/plan"
)

// image is the part of the initramfs that all kernels share.
type image struct {
	tree tree
	plan plan.Plan
	few  map[string]string // by package, the -test.run pattern of the tests that another kernel skipped
}

// tests returns the tests of a machine: all of the plan, or those that another kernel skipped.
func (img *image) tests(whole bool) []plan.Test {
	if whole {
		return slices.Clone(img.plan.Tests)
	}
	var few []plan.Test
	for _, t := range img.plan.Tests {
		if pattern, ok := img.few[t.Package]; ok {
			t.Args = append(slices.Clone(t.Args), "-test.run="+pattern) // the last pattern counts
			few = append(few, t)
		}
	}
	return few
}

// newImage builds the guest in a directory.
func newImage(ctx context.Context, dir string, o *options) (*image, error) {
	img := &image{tree: tree{}, few: map[string]string{}, plan: plan.Plan{
		Mark: o.mark, Again: o.again,
		Env: []string{
			"PATH=/bin", "HOME=/root", "TMPDIR=/tmp",
			testnet.Throwaway + "=1",
		},
	}}
	if err := img.tree.addTools(ctx, tools); err != nil {
		return nil, err
	}
	img.tree.addFiles()
	img.tree.dir("root")
	img.tree.file("etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"))
	img.tree.file("etc/group", []byte("root:x:0:\nnogroup:x:65534:\n"))
	guest := filepath.Join(dir, "guest")
	if err := command.Go(ctx, ".", "build", "-o", guest, "-ldflags=-s -w", "berth/test/vm/guest"); err != nil {
		return nil, err
	}
	img.tree.program("init", guest)
	return img, nil
}

// addTests adds the tests of packages, and the source tree's files, to the image.
func (img *image) addTests(ctx context.Context, dir string, o *options, packages []*testPackage) error {
	if err := img.tree.addModule(packages[0].Module.Dir); err != nil {
		return err
	}
	for _, p := range packages {
		if err := img.addPackage(ctx, dir, o, p); err != nil {
			return err
		}
	}
	return nil
}

// features returns the features that a kernel must have: all, but a processor without ticks only
// if its command line has one.
func (k *kernel) features() string {
	var names []string
	for _, f := range testnet.Features() {
		if f != testnet.NoTicks || strings.Contains(k.Words, "nohz_full=") {
			names = append(names, string(f))
		}
	}
	return strings.Join(names, ",")
}

// addPackage adds a package's tests to the image, to run in the package's directory.
func (img *image) addPackage(ctx context.Context, dir string, o *options, p *testPackage) error {
	place, err := p.place()
	if err != nil {
		return err
	}
	pattern := o.run
	if pattern == "" {
		if pattern, err = p.pattern(); err != nil {
			return err
		}
	}
	img.addFew(o, p)
	binary := filepath.Join(dir, strings.ReplaceAll(place, "/", "_")+".test")
	if err := p.build(ctx, binary); err != nil {
		return err
	}
	name := "tests/" + filepath.Base(binary)
	img.tree.program(name, binary)
	img.plan.Tests = append(img.plan.Tests, plan.Test{
		Package: p.ImportPath, Dir: filepath.Join("/src", place),
		Args: []string{"/" + name, "-test.v", fmt.Sprintf("-test.short=%t", !o.long),
			"-test.timeout=" + (o.timeout * 3 / 4).String(), "-test.run=" + pattern},
	})
	return nil
}

// addFew adds the tests of a package that kernels run which do not run all tests.
func (img *image) addFew(o *options, p *testPackage) {
	if len(p.skipped) > 0 && (o.others == nil || slices.Contains(o.others, p.ImportPath)) {
		img.few[p.ImportPath] = cmp.Or(o.run, exactly(p.skipped))
	}
}

// addModule adds the files of the module to the tests' working tree, because they read
// test data and other files there. It leaves out directories of git and the build,
// and big files, which are programs.
func (t tree) addModule(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "dist"
		if d.IsDir() && hidden && path != dir {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Size() > biggest {
			return ignoreMissing(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return ignoreMissing(err)
		}
		place, err := filepath.Rel(dir, path)
		t.put(filepath.Join("src", place), entry{mode: typeFile | uint32(info.Mode().Perm()), data: data})
		return err
	})
}

// ignoreMissing returns the error, or nil if it reports a missing file: another
// program may delete files at the same time.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// biggest is the maximum size of a copied file, in bytes.
const biggest = 1 << 20

// write writes the initramfs for a kernel, with a plan of some tests.
func (img *image) write(ctx context.Context, k *kernel, tests []plan.Test, file string) error {
	modules, err := k.modules(ctx)
	if err != nil {
		return err
	}
	whole, p := tree{}, img.plan
	for name, e := range img.tree {
		whole[name] = e
	}
	p.Tests, p.Env = tests, append(slices.Clone(p.Env), testnet.Require+"="+k.features())
	for _, m := range modules {
		name := "modules/" + m.Name + ".ko"
		whole.file(name, m.Image)
		p.Modules = append(p.Modules, "/"+name)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	whole.file(strings.TrimPrefix(plan.Path, "/"), text)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := whole.write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
