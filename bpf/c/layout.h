/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The pinned layout, version 1: the types that the datapath, the hook, the
 * agent and the command line share. bpf/layout.go has the same types in Go; a test
 * compares them. The agent moves maps of another layout by the names of members.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* The mode of an endpoint's interface; 0 if it has none. */
enum mode {
	MODE_BRIDGE = 1,
	MODE_PRIVATE,
	MODE_VEPA,
	MODE_PASSTHRU,
	MODE_SOURCE,
	MODE_L2, /* this and the next two are ipvlan's */
	MODE_L3,
	MODE_L3S,
} __attribute__((packed));

/* The MAC is the parent's own: its frames are the host's. */
#define ENDPOINT_PARENT 0x01
/* The same, and ipvlan endpoints share the MAC: only addresses distinguish them. */
#define ENDPOINT_IPVLAN 0x02
/* The container configures IPv6 addresses itself, as with SLAAC: all but link-local ones are not judged. */
#define ENDPOINT_OWN_IPV6 0x04
/* The container forwards: source addresses in IP headers are not judged. */
#define ENDPOINT_ROUTER 0x08
/* berth did not create the interface, and it may change its MAC. */
#define ENDPOINT_OBSERVED 0x10
/*
 * Set only in the copy of a party with which a frame is judged whose source MAC is forged: the
 * namespace, or else the source address, identifies the sender.
 */
#define ENDPOINT_BY_COOKIE 0x20
#define ENDPOINT_BY_ADDRESS 0x40
/* Link-local addresses are judged: the endpoint's own one, if it has any, is assigned to it. */
#define ENDPOINT_LINK_LOCAL 0x80

struct endpoint_key {
	__u8 mac[6];
	__u16 vlan; /* 0 if untagged */
	__u32 ifindex; /* of the parent */
};

/* The endpoint that has a MAC, an address or a namespace, and its network's rules. */
struct party {
	__u32 slot; /* 0 if it is not counted */
	__u32 enforce; /* bits 1 << enum kind, so 32 kinds at most; their frames are dropped */
	__u32 exempt; /* bits 1 << enum kind, whose frames are not judged */
	enum mode mode;
	__u8 flags;
	__u16 ns; /* the lowest 16 bits of its namespace's cookie, or 0 if unknown */
};

struct endpoint {
	struct party is;
	__u64 cookie; /* of the namespace that owns the MAC */
	__be32 addr4; /* the first assigned IPv4 address, or 0 */
	__u32 reserved;
	__be32 addr6[4]; /* the first assigned IPv6 address, or 0 */
};

/* The recent actions of an endpoint, by slot. */
struct state {
	__u32 out; /* tick of the last frame sent to a sibling or the host by the wire, or 0 */
	__u32 since; /* tick of the oldest of the waiting frames */
	__u32 waiting; /* frames to siblings, in mode vepa, since one was last reflected */
	__u32 probed; /* tick of the last probe for an address, or 0 */
};

/* The fingerprint of a group frame that an endpoint has sent. */
struct print {
	__u32 hash; /* of the fields that a reflected copy shares */
	__u32 when; /* tick, or 0 if the element is unused */
};

/* A place of the table of MACs: one line of the processor's cache. */
struct place {
	struct endpoint of;
	__u64 word; /* the first 8 bytes of the key; 0: empty; all bits set: deleted */
	__u32 ifindex; /* the rest of the key */
	__u32 freed; /* for userspace alone */
};

/* The hash of a key is a product with this: 2^64 divided by the golden ratio. */
#define HASH_FACTOR 0x9e3779b97f4a7c15ULL

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

/* The slot of an address that the host has on the parent. */
#define ADDRESS_HOST 0xffffffff

/*
 * A container's interface with the sibling program on it: on ipvlan, and on macvlan
 * in mode bridge. On a kernel without tcx the receiver program or the guard program has an
 * entry too.
 */
struct inside_key {
	__u64 cookie; /* of the namespace that it is in */
	__u32 ifindex; /* in that namespace */
	/*
	 * The program: 0 for the sibling program, 1 for the one on ingress. The name
	 * must stay: a map whose key has other members cannot be taken over.
	 */
	__u32 reserved;
};

struct inside {
	__u32 slot;
	__u32 parent; /* ifindex */
	enum mode mode; /* MODE_PRIVATE if ipvlan forbids frames between siblings */
	__u8 reserved[3]; /* the first is for userspace: 1 if the sibling program marks frames (guard.h) */
};

/* A MAC from which an endpoint in source mode receives. */
struct source_key {
	__u32 slot;
	__u8 mac[6];
	__u16 reserved;
};

/* Bits of parent's flags; userspace uses the others. */
#define PARENT_ENFORCES 0x04 /* a network of its ipvlan endpoints enforces rules */
#define PARENT_UNMARKED 0x08 /* an ipvlan endpoint has no sibling program that marks its frames */

struct parent {
	__u32 slot; /* of the passthru endpoint that owns the parent, or 0 */
	__u8 mac[6]; /* zero unless the programs are attached, or are about to be */
	__u8 flags;
	__u8 reserved;
};

enum flow { RECEIVE, TRANSMIT }; /* from the container's view; enum direction is the program's */
enum scope { LOCAL, EXTERNAL };
enum cast { UNICAST, MULTICAST, BROADCAST, CASTS };

struct count {
	__u64 packets; /* wire segments */
	__u64 bytes; /* of all segments, from the Ethernet header to the end of the payload */
};

/*
 * The traffic that a program on the parent sees. It sees group frames only
 * when they leave for the wire.
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
	MODE_DRIFT, /* the agent judges this and the next three */
	MAC_DRIFT,
	ADDRESS_DRIFT,
	PASSTHRU_SHARED,
	SOURCE_DENIED,
	HOST_ISOLATION,
	ROGUE_DHCP,
	ROGUE_RA,
	UNANSWERED, /* the agent judges this one too */
	KINDS
} __attribute__((packed));

struct violation {
	__u64 packets;
	__u64 dropped; /* included in packets */
	__u32 last; /* tick of the last event, or 0 if none was sent */
	__u32 left_out; /* violations since then without an event */
};

/*
 * A new kind is a new element at the end, which the migration adds. There can be 32:
 * struct party has a bit for each, and the map "found" of userspace has 32 of them.
 */
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
/* The direction of a frame at the interface of the program. The container's view is enum flow. */
enum direction { INGRESS, EGRESS } __attribute__((packed));
enum lost { LOST_EVENTS, LOST_UNKNOWN, LOST };

#define EVENT_BYTES 96

struct event {
	__u64 time; /* ns since boot, suspended time included */
	__u64 cookie; /* of the sender's namespace, or 0 */
	__u64 left_out;
	__u32 ifindex;
	__u32 vlan;
	__u32 sender; /* slots, or 0 */
	__u32 owner;
	__u32 receiver;
	__u32 counted; /* the slot, of these three, that the violation is counted for */
	__u32 length; /* of the frame, Ethernet header included */
	__u16 captured; /* length of the valid part of bytes */
	__u8 kind;
	__u8 certainty;
	__u8 evidence;
	__u8 direction;
	__u8 dropped;
	__u8 reserved[5];
	__u8 bytes[EVENT_BYTES];
};

#include "maps.h"
