// Package sys makes the calls of bpf(2) that a process needs to use maps, programs and links
// which another process has pinned.
//
// [LoadPinnedMap], [LoadPinnedProgram] and [LoadPinnedLink] open pinned objects.
//
// It loads no programs: [github.com/cilium/ebpf] does. That library costs every start of a
// program 45 pages, even if it is not used, and berth-hook starts for each container.
//
// It imports nothing of berth. Its structures are the arguments of the calls in
// include/uapi/linux/bpf.h.
package sys
