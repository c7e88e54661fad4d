package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/test/command"
)

// wanted are the modules that the tests need, under the kernel's names. Their
// dependencies are added.
var wanted = []string{
	"8021q", "bonding", "bridge", "dummy", "ipvlan", "macvlan", "macvtap", "tun", "veth",
	"af_packet", "act_bpf", "act_gact", "act_mirred", "cls_bpf", "cls_u32", "sch_ingress", "sch_netem", "sch_tbf",
	"fou", "geneve", "ip_gre", "ip6_gre", "ip6_tunnel", "ipip", "sit", "vxlan",
	"virtio_pci", "virtio_net",
}

// module is a module that is loaded from a file.
type module struct {
	Name  string
	Image []byte // not compressed
}

// modules returns the wanted modules of a kernel and their dependencies, in an order
// in which they can be loaded. It leaves out built-in modules. A missing module is an
// error.
func (k *kernel) modules(ctx context.Context) ([]module, error) {
	files, err := moduleFiles(k.Modules)
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(k.Modules, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(builtin)) {
		files[moduleName(strings.TrimSpace(line))] = ""
	}
	images := map[string][]byte{}
	order, err := loadOrder(wanted, func(name string) ([]string, bool, error) {
		file, ok := files[name]
		if !ok {
			return nil, false, fmt.Errorf("kernel %s has no module %q", k.Release, name)
		}
		if file == "" {
			return nil, false, nil
		}
		image, err := readModule(ctx, file)
		if err != nil {
			return nil, false, err
		}
		images[name] = image
		deps, err := dependencies(image)
		return deps, true, err
	})
	var all []module
	for _, name := range order {
		all = append(all, module{Name: name, Image: images[name]})
	}
	return all, err
}

// loadOrder returns the modules and their dependencies, each before the modules that
// depend on it. depsOf returns the dependencies of a module, and whether to load it
// at all.
func loadOrder(names []string, depsOf func(string) (deps []string, load bool, err error)) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	var visit func(string) error
	visit = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		deps, load, err := depsOf(name)
		if err != nil || !load {
			return err
		}
		for _, dep := range deps {
			if err := visit(dep); err != nil {
				return err
			}
		}
		order = append(order, name)
		return nil
	}
	for _, name := range names {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// moduleFiles returns the files of all modules below a directory, by name.
func moduleFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".ko") {
			files[moduleName(path)] = path
		}
		return err
	})
	return files, err
}

// moduleName returns the name of the module in a file, which never has a dash
// (scripts/Makefile.lib).
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func readModule(ctx context.Context, file string) ([]byte, error) {
	if filepath.Ext(file) != ".xz" {
		return os.ReadFile(file)
	}
	out, err := command.Output(ctx, "", "xz", "-dc", file)
	return []byte(out), err
}

// dependencies returns the modules that a module needs: the "depends" entry
// that modpost writes into its .modinfo section (scripts/mod/modpost.c).
func dependencies(image []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("read module: no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read .modinfo: %w", err)
	}
	return depends(info), nil
}

func depends(modinfo []byte) []string {
	for _, field := range bytes.Split(modinfo, []byte{0}) {
		if list, ok := bytes.CutPrefix(field, []byte("depends=")); ok && len(list) > 0 {
			return strings.Split(strings.ReplaceAll(string(list), "-", "_"), ",")
		}
	}
	return nil
}
