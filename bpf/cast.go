//go:build !hook

package bpf

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// kfuncCast is the kernel's function by which the programs read its types without calls.
const kfuncCast = "bpf_rdonly_cast"

// withoutCast makes all programs do without bpf_rdonly_cast: they see address 0, as on a kernel that
// lacks it. A kernel that does not compile programs refuses each that refers to it, even if the call
// is never reached.
func withoutCast(spec *ebpf.CollectionSpec) {
	for _, p := range spec.Programs {
		for i, ins := range p.Instructions {
			switch {
			case ins.Reference() != kfuncCast:
			case ins.IsKfuncCall():
				p.Instructions[i] = asm.FnUnspec.Call()
			case ins.OpCode.IsDWordLoad():
				p.Instructions[i] = asm.LoadImm(ins.Dst, 0, asm.DWord)
			}
		}
	}
}
