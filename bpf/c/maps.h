/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The maps of the pinned layout, and the types of the small ones. layout.h
 * includes this file and defines the other types.
 */
#pragma once

/* Sizes are minimums here; bpf.Load sets them from its options. */
/* The table of MACs. BPF_F_MMAPABLE aligns the places to lines of the cache. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct place);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} places SEC(".maps");

/* The endpoints that found no place in the table. Earlier versions have all endpoints here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct endpoint_key);
	__type(value, struct endpoint);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} endpoints SEC(".maps");

/* One element for all sources whose MAC and VLAN hash to its index. */
#define FILTER_BITS 16

struct filter {
	__u8 endpoint; /* for the programs of earlier versions: 1 once an endpoint of them was registered */
	__u8 seen[2]; /* by enum direction: the epoch in which an unknown source was last noted */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct filter);
	__uint(max_entries, 1 << FILTER_BITS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter SEC(".maps");

/* Unknown source MACs: those of the LAN that belong to no endpoint, as many as fit. */
struct unknown {
	__u64 first, last; /* coarse monotonic ns */
	__u8 ways; /* bits 1 << enum direction */
	__u8 reserved[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct endpoint_key);
	__type(value, struct unknown);
	__uint(max_entries, 2048);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} unknown SEC(".maps");

/* The epoch, 1 to 255, set by the agent; an unknown source is noted once in each. If it is 0, none is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} epoch SEC(".maps");

/* The entries that a CPU has added in the current window. */
struct budget {
	__u64 since; /* coarse monotonic ns */
	__u64 used;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct budget);
	__uint(max_entries, 1);
} budget SEC(".maps");

/* Only userspace inserts into the following maps, so they need no preallocation. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct source_key);
	__type(value, __u8); /* 1 */
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct namespace_key);
	__type(value, struct party);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} namespaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct address_key);
	__type(value, struct party);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct inside_key);
	__type(value, struct inside);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} insides SEC(".maps");

/* VLANs with a sub-interface of their own, on which their frames are counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct vlan_key);
	__type(value, __u32); /* ifindex of the sub-interface */
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); /* ifindex */
	__type(value, struct parent);
	__uint(max_entries, 64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} parents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32); /* slot */
	__type(value, struct counters);
	__uint(max_entries, 64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32); /* slot */
	__type(value, struct state);
	__uint(max_entries, 64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} states SEC(".maps");

#define PRINT_BITS 12

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct print);
	__uint(max_entries, 1 << PRINT_BITS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} prints SEC(".maps");

/* For noting the group frames that programs on parents drop, in dropped_frames (copies.h). */
struct drops {
	__u64 keys[3]; /* of the hash of a frame; random, set by the agent */
	__u32 last; /* tick of the last drop, or 0 */
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct drops);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} drops SEC(".maps");

/*
 * The group frames that programs on parents have dropped. There is room for more than
 * wait for their receivers (netdev_max_backlog).
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u64); /* hash */
	__type(value, __u32); /* tick */
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} dropped_frames SEC(".maps");

/*
 * An element is added at a slot's first violation, because few slots ever have
 * one. There is room for every slot. Slot 0, which userspace adds, counts the
 * violations for which an element could not be allocated.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); /* slot that the violation is counted for */
	__type(value, struct violations);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} violations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024); /* about 1,700 events */
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

/* Losses: events without room in the ring buffer, unknown sources without room in their map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32); /* enum lost */
	__type(value, __u64);
	__uint(max_entries, LOST);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} lost SEC(".maps");
