package main

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/internal/testnet"
	"berth/test/vm/internal/plan"
)

// image is what the initramfs of all kernels have in common.
type image struct {
	tree tree
	plan plan.Plan
}

// newImage builds the guest and the test binaries in a directory.
func newImage(ctx context.Context, dir string, o *options, packages []*testPackage) (*image, error) {
	img := &image{tree: tree{}, plan: plan.Plan{
		Mark: o.mark,
		Env: []string{
			"PATH=/bin", "HOME=/root", "TMPDIR=/tmp",
			testnet.Require + "=" + features(),
		},
	}}
	if err := img.tree.addTools(ctx); err != nil {
		return nil, err
	}
	img.tree.dir("root")
	img.tree.file("etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"))
	img.tree.file("etc/group", []byte("root:x:0:\nnogroup:x:65534:\n"))
	guest := filepath.Join(dir, "guest")
	if err := goBuild(ctx, "build", "-o", guest, "-ldflags=-s -w", "berth/test/vm/guest"); err != nil {
		return nil, err
	}
	img.tree.program("init", guest)
	for _, p := range packages {
		if err := img.add(ctx, dir, o, p); err != nil {
			return nil, err
		}
	}
	return img, nil
}

func features() string {
	var names []string
	for _, f := range testnet.Features() {
		names = append(names, string(f))
	}
	return strings.Join(names, ",")
}

// add takes a package into the image: its test binary and its test data, where
// they are in the module.
func (img *image) add(ctx context.Context, dir string, o *options, p *testPackage) error {
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
	binary := filepath.Join(dir, strings.ReplaceAll(place, "/", "_")+".test")
	if err := p.build(ctx, binary); err != nil {
		return err
	}
	in := filepath.Join("src", place)
	img.tree.program(filepath.Join(in, "tests"), binary)
	img.plan.Tests = append(img.plan.Tests, plan.Test{
		Package: p.ImportPath, Dir: "/" + in,
		Args: []string{"./tests", "-test.v", "-test.short", "-test.timeout=" + o.timeout.String(), "-test.run=" + pattern},
	})
	return img.tree.copyDir(filepath.Join(in, "testdata"), filepath.Join(p.Dir, "testdata"))
}

// copyDir adds the files below a directory, which may be missing.
func (t tree) copyDir(name, source string) error {
	if _, err := os.Stat(source); os.IsNotExist(err) {
		return nil
	}
	return filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		t.file(name+strings.TrimPrefix(path, source), data)
		return err
	})
}

// write writes the initramfs for a kernel.
func (img *image) write(ctx context.Context, k *kernel, file string) error {
	modules, err := k.modules(ctx)
	if err != nil {
		return err
	}
	whole, p := tree{}, img.plan
	for name, e := range img.tree {
		whole[name] = e
	}
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
