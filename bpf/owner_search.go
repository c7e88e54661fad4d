//go:build !hook

package bpf

import (
	"encoding/binary"

	"github.com/cilium/ebpf"

	"berth/specs"
)

// The members of struct __sk_buff (linux/bpf.h) that the search for an owner uses, and its size.
const (
	skbIfIndex = 40
	skbCB      = 48
	skbSize    = 192
)

// shortestFrame is the length of the frame that the search makes, the least of Ethernet.
const shortestFrame = 60

// ownerSearch returns a function that runs the program which finds the namespace of a macvlan
// interface.
func ownerSearch(program *ebpf.Program) func(parentIndex int, mac specs.MAC) (uint64, error) {
	return func(parentIndex int, mac specs.MAC) (uint64, error) {
		frame, in, out := make([]byte, shortestFrame), make([]byte, skbSize), make([]byte, skbSize)
		copy(frame[len(mac):], mac[:])
		binary.NativeEndian.PutUint32(in[skbIfIndex:], uint32(parentIndex))
		if _, err := program.Run(&ebpf.RunOptions{Data: frame, Context: in, ContextOut: out}); err != nil {
			return 0, err
		}
		low, high := binary.NativeEndian.Uint32(out[skbCB:]), binary.NativeEndian.Uint32(out[skbCB+4:])
		return uint64(low) | uint64(high)<<32, nil
	}
}
