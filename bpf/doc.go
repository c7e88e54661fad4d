// Package bpf is the datapath: the C programs that count and judge the frames on a parent,
// the maps that they share with userspace, and their attachment to interfaces.
//
// Maps and links are pinned under BPFFS/v1, so that frames are counted while no process of
// berth runs. The hook and the command line open single maps with [Open]; the agent loads
// everything with [Load]. Register, Counters and the other methods of [Maps] may be called
// from several goroutines and processes.
//
// With the build tag hook, the package can use pinned objects, but not load any: it then does
// without cilium/ebpf. Package sys opens pinned objects, with or without the tag.
//
// The package knows slots, not names: the attachment records map a slot to its container.
// It follows no interface and keeps no history. Of berth it imports specs and bpf/sys only.
package bpf

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel,bpfeb -go-package bpf -tags !hook -no-global-types -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" datapath c/datapath.c
