/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The maps of the pinned layout, and what is in the small ones. Included by
 * layout.h, whose types they have.
 */
#pragma once

/* The sizes here are the least; bpf.Load sets them from its options. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct endpoint_key);
	__type(value, struct endpoint);
	__uint(max_entries, 64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} endpoints SEC(".maps");

/*
 * What is known of the sources whose MAC and VLAN have an index as their hash.
 * endpoint is 1 once one of them was registered: others are not worth a look-up
 * on ingress, where most are strangers of the LAN. It stays 1, as others may
 * have the same hash.
 */
#define FILTER_BITS 16
#define FILTER_FACTOR 0x9e3779b97f4a7c15ULL /* 2^64 divided by the golden ratio */

struct filter {
	__u8 endpoint;
	__u8 seen[2]; /* by way: the epoch in which a stranger was noted last */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct filter);
	__uint(max_entries, 1 << FILTER_BITS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter SEC(".maps");

/* MACs on the LAN that are no endpoints', as many as fit. */
struct unknown {
	__u64 first, last; /* coarse monotonic ns */
	__u8 ways; /* 1 << enum way */
	__u8 reserved[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct endpoint_key);
	__type(value, struct unknown);
	__uint(max_entries, 2048);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} unknown SEC(".maps");

/* 1 to 255, set by userspace: in each, a stranger is noted once. 0: none is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} epoch SEC(".maps");

/* New entries that a CPU may still make in this window. */
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

/* Only userspace inserts into these, so their memory grows with use. */
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

/* VLANs that have a sub-interface of their own, at which they are counted. */
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

/*
 * Made with a slot's first violation, as few ever have one. There is room for
 * every slot; slot 0, which is made by userspace, takes what finds no memory.
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

/* What found no room: events in the ring buffer, strangers in their map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32); /* enum lost */
	__type(value, __u64);
	__uint(max_entries, LOST);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} lost SEC(".maps");
