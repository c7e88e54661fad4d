/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The pinned layout, version 1: what the datapath, the hook, the agent and the
 * command line share. bpf/layout.go says the same in Go, and a test holds the
 * two together. A change of any of this is a new version.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* What an endpoint's interface is; 0 is none of these. */
enum mode {
	MODE_BRIDGE = 1,
	MODE_PRIVATE,
	MODE_VEPA,
	MODE_PASSTHRU,
	MODE_SOURCE,
	MODE_L2, /* of ipvlan, from here on */
	MODE_L3,
	MODE_L3S,
} __attribute__((packed));

/* The entry is the parent's own MAC: its frames are the host's. */
#define ENDPOINT_PARENT 0x01
/* The same, of a parent whose MAC ipvlan endpoints share: addresses tell. */
#define ENDPOINT_IPVLAN 0x02
/* It finds IPv6 addresses of its own: those are not judged. */
#define ENDPOINT_OWN_IPV6 0x04
/* It forwards: the sources of IP headers are not judged. */
#define ENDPOINT_ROUTER 0x08

struct endpoint_key {
	__u8 mac[6];
	__u16 vlan; /* 0: untagged */
	__u32 ifindex; /* of the parent */
};

/* Who a MAC, an address or a namespace leads to, and what its network says. */
struct party {
	__u32 slot; /* 0: not counted */
	__u32 enforce; /* 1 << enum kind: such frames are dropped */
	__u32 exempt; /* 1 << enum kind: such frames are not judged */
	enum mode mode;
	__u8 flags;
	__u16 ns; /* the lowest bits of its namespace's cookie; 0: unknown */
};

struct endpoint {
	struct party is;
	__u64 cookie; /* of the namespace that owns the MAC */
	__be32 addr4; /* the first that it was given, or 0 */
	__u32 reserved;
	__be32 addr6[4]; /* the same */
};

/* What an endpoint has done of late, by slot. */
struct state {
	__u32 out; /* TICKs: when it last sent a sibling or the host something by the wire; 0: never */
	__u32 since; /* TICKs: of the first of those that wait */
	__u32 waiting; /* frames to siblings, in mode vepa, of which none has come back */
	__u32 probed; /* TICKs: when it last asked whether an address is free; 0: never */
};

/* A frame to a group that an endpoint has sent. */
struct print {
	__u32 hash; /* of what its copy has too */
	__u32 when; /* TICKs; 0: never */
};

struct vlan_key {
	__u32 ifindex; /* of the trunk */
	__u32 vlan;
};

struct namespace_key {
	__u64 cookie;
	__u32 ifindex;
	__u32 vlan;
};

struct address_key {
	__u8 addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u32 ifindex;
	__u32 vlan;
};

/* As the slot of an address: the host has it on the parent. */
#define ADDRESS_HOST 0xffffffff

/* An ipvlan interface, as the program on it knows it. */
struct inside_key {
	__u64 cookie; /* of the namespace that it is in */
	__u32 ifindex; /* in that namespace */
	__u32 reserved;
};

struct inside {
	__u32 slot;
	__u32 parent; /* ifindex */
	enum mode mode;
	__u8 reserved[3];
};

/* A MAC from which an endpoint in source mode receives. */
struct source_key {
	__u32 slot;
	__u8 mac[6];
	__u16 reserved;
};

struct parent {
	__u32 slot; /* the passthru endpoint that has the parent whole, or 0 */
	__u8 mac[6];
	__u8 flags; /* for the agent alone */
	__u8 reserved;
};

enum direction { RECEIVE, TRANSMIT };
enum scope { LOCAL, EXTERNAL };
enum cast { UNICAST, MULTICAST, BROADCAST, CASTS };

struct count {
	__u64 packets; /* wire segments */
	__u64 bytes; /* of all of them: Ethernet header to end of payload */
};

/*
 * What can be seen from the parent: of frames to groups, only what is sent to
 * the wire.
 */
enum counter { RECEIVE_LOCAL, RECEIVE_EXTERNAL, TRANSMIT_LOCAL, TRANSMIT_EXTERNAL };
#define COUNTERS (TRANSMIT_EXTERNAL + CASTS)

struct counters {
	struct count at[COUNTERS]; /* TRANSMIT_EXTERNAL by cast */
};

/* Numbers of violations, in the order of specs.Kinds. */
enum kind {
	MAC_SPOOF,
	IP_SPOOF,
	PRIVATE_LEAK,
	PRIVATE_ATTEMPT,
	VEPA_UNREFLECTED,
	VEPA_BYPASS,
	REFLECTED,
	DUPLICATE_MAC,
	DUPLICATE_IP,
	MODE_DRIFT, /* this and the next three are judged by the agent */
	MAC_DRIFT,
	ADDRESS_DRIFT,
	PASSTHRU_SHARED,
	SOURCE_DENIED,
	HOST_ISOLATION,
	ROGUE_DHCP,
	ROGUE_RA,
	UNANSWERED, /* by the agent too */
	KINDS
} __attribute__((packed));

struct violation {
	__u64 packets;
	__u64 dropped; /* of these */
	__u32 last; /* TICKs: when the last event was sent; 0: never */
	__u32 left_out; /* events held back since then */
};

/* One more kind is one more member at the end, which migrating adds. */
struct violations {
	struct violation of[KINDS];
};

enum certainty { CERTAIN, SUSPECTED } __attribute__((packed));
enum evidence {
	NETNS_COOKIE,
	SOURCE_ADDRESS,
	SOCKET,
	SOURCE_MAC,
	FRAME_COPY,
	NOT_SENT,
	NO_REFLECTION,
	CLAIMED_ADDRESS,
	UNREADABLE,
	EVIDENCES
} __attribute__((packed));
enum way { INGRESS, EGRESS } __attribute__((packed));
enum lost { LOST_EVENTS, LOST_UNKNOWN, LOST };

#define EVENT_BYTES 96

struct event {
	__u64 time; /* ns since boot, suspension included */
	__u64 cookie; /* of the sender's namespace, or 0 */
	__u64 left_out;
	__u32 ifindex;
	__u32 vlan;
	__u32 sender; /* slots, or 0 */
	__u32 owner;
	__u32 receiver;
	__u32 counted; /* the one of these that it is counted for */
	__u32 length; /* of the frame, Ethernet header included */
	__u16 captured; /* how much of bytes is set */
	__u8 kind;
	__u8 certainty;
	__u8 evidence;
	__u8 way;
	__u8 dropped;
	__u8 reserved[5];
	__u8 bytes[EVENT_BYTES];
};

#include "maps.h"
