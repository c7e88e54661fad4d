//go:build !hook

package bpf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"berth/bpf/sys"
)

// knowsInterfaces returns nil if the sibling program can find its interface's namespace on
// this kernel, else the reason why not: it reads the namespace from the kernel's own
// structures, by their names in the kernel's BTF. cast is whether the kernel has bpf_rdonly_cast,
// as those since Linux 6.2: the loader would look for it in the types of each module, and again for
// each instruction that refers to it.
func knowsInterfaces() (cast bool, reason error) {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return false, fmt.Errorf("the kernel does not show its types: %w", err)
	}
	var function *btf.Func
	cast = types.TypeByName(kfuncCast, &function) == nil
	if !hasMember(types, "net", "net_cookie") {
		return cast, errors.New("the kernel's struct net has no net_cookie")
	}
	return cast, features.HaveProgramHelper(ebpf.SchedCLS, asm.FnProbeReadKernel)
}

// hasMember reports whether a structure has a member.
func hasMember(types *btf.Spec, structure, member string) bool {
	var of *btf.Struct
	if types.TypeByName(structure, &of) != nil {
		return false
	}
	return slices.ContainsFunc(of.Members, func(m btf.Member) bool { return m.Name == member })
}

// OwnProgramsError returns nil if the programs on endpoints' own interfaces run on this
// kernel, else the reason why they do nothing.
func (d *Datapath) OwnProgramsError() error { return d.noSibling }

// updateInsides replaces the programs of an earlier run on every endpoint's own interface.
func (d *Datapath) updateInsides() error {
	return d.pins.eachInside(func(o OwnProgram, path string, l *sys.Link) error {
		info, ok, err := l.Info()
		if err == nil && ok && info.IfIndex != 0 {
			err = l.Update(d.programOf(o).FD())
		} else if err == nil || errors.Is(err, unix.ENOLINK) {
			return removePin(path) // the interface is gone
		}
		return err
	})
}
