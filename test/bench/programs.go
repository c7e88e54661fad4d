package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// The programs on the parent during a measurement.
const (
	noPrograms = iota
	agentPrograms
	emptyPrograms // the cost of any TC program
)

// programs attaches programs to the parent, and returns a function that removes those
// that the agent does not.
func (s *site) programs(which int) (end func() error, err error) {
	end = func() error { return nil }
	if err := s.counting(which == agentPrograms); err != nil || which != emptyPrograms {
		return end, err
	}
	return attachEmpty("eth1")
}

// attachEmpty attaches a program that does nothing to both sides of an
// interface of the host that the caller is on.
func attachEmpty(ifname string) (end func() error, err error) {
	parent, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, err
	}
	empty, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "empty", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}, // TCX_NEXT
	})
	if err != nil {
		return nil, fmt.Errorf("load an empty program: %w", err)
	}
	var links []link.Link
	end = func() error {
		err := empty.Close()
		for _, l := range links {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	for _, way := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		l, err := link.AttachTCX(link.TCXOptions{Interface: parent.Index, Program: empty, Attach: way})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("attach an empty program (Linux 6.6): %w", err), end())
		}
		links = append(links, l)
	}
	return end, nil
}
