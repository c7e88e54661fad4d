//go:build !hook

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// programNames returns the names of all programs in the kernel, by id. It reads them by an
// iterator (Linux 5.9), which needs CAP_BPF and CAP_PERFMON; to open a program by its id
// needs CAP_SYS_ADMIN, which the agent drops.
func programNames() (map[uint32]string, error) {
	spec, err := namesProgram()
	if err != nil {
		return nil, err
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return nil, fmt.Errorf("iterate over programs: %w", err)
	}
	defer p.Close()
	it, err := link.AttachIter(link.IterOptions{Program: p})
	if err != nil {
		return nil, fmt.Errorf("iterate over programs: %w", err)
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return nil, fmt.Errorf("iterate over programs: %w", err)
	}
	defer r.Close()
	all := make(map[uint32]string)
	for one := make([]byte, nameEntry); ; {
		if _, err := io.ReadFull(r, one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("iterate over programs: %w", err)
		}
		all[binary.NativeEndian.Uint32(one)] = cString(one[4:])
	}
}

// nameEntry is the size of an id and a name of BPF_OBJ_NAME_LEN bytes
// (include/uapi/linux/bpf.h), as namesProgram writes them.
const nameEntry = 4 + 16

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// namesProgram writes id and name of one program. Its context is struct bpf_iter__bpf_prog
// (kernel/bpf/prog_iter.c): pointers to the iterator's meta, whose first member is the file
// being read, and to the program.
func namesProgram() (*ebpf.ProgramSpec, error) {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("types of the kernel: %w", err)
	}
	aux, err1 := offsetOf(types, "bpf_prog", "aux")
	id, err2 := offsetOf(types, "bpf_prog_aux", "id")
	name, err3 := offsetOf(types, "bpf_prog_aux", "name")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	const at = -24 // of the entry, on the stack
	return &ebpf.ProgramSpec{
		Name: "berth_names", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "bpf_prog",
		License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord),
			asm.LoadMem(asm.R7, asm.R1, 8, asm.DWord),
			asm.JEq.Imm(asm.R7, 0, "end"), // after the last
			asm.LoadMem(asm.R8, asm.R7, aux, asm.DWord),
			asm.LoadMem(asm.R1, asm.R8, id, asm.Word),
			asm.StoreMem(asm.RFP, at, asm.R1, asm.Word),
			asm.Mov.Reg(asm.R1, asm.RFP),
			asm.Add.Imm(asm.R1, at+4),
			asm.Mov.Imm(asm.R2, nameEntry-4),
			asm.Mov.Reg(asm.R3, asm.R8),
			asm.Add.Imm(asm.R3, int32(name)),
			asm.FnProbeReadKernel.Call(),
			asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, at),
			asm.Mov.Imm(asm.R3, nameEntry),
			asm.FnSeqWrite.Call(),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
			asm.Return(),
		},
	}, nil
}

// offsetOf returns the offset of a structure's member, in bytes.
func offsetOf(types *btf.Spec, structure, member string) (int16, error) {
	var of *btf.Struct
	if err := types.TypeByName(structure, &of); err != nil {
		return 0, fmt.Errorf("struct %s: %w", structure, err)
	}
	for _, m := range of.Members {
		if m.Name == member {
			return int16(m.Offset.Bytes()), nil
		}
	}
	return 0, fmt.Errorf("struct %s has no %s", structure, member)
}
