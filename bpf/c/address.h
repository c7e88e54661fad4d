/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Network addresses of a frame, and the endpoints they are assigned to.
 */
#pragma once

#include <linux/icmpv6.h>
#include "frame.h"
#include "layout.h"

#define ARP_SENDER_IP 14
#define ARP_TARGET_IP 24
#define ND_NEIGHBOUR_SOLICIT 135 /* RFC 4861, section 4.3 */
#define ND_TARGET 8

enum side { SOURCE, TARGET };

static __always_inline __u32 address_offset(__be16 proto, enum side side)
{
	switch (proto) {
	case bpf_htons(ETH_P_IP):
		return side == SOURCE ? __builtin_offsetof(struct iphdr, saddr) :
					__builtin_offsetof(struct iphdr, daddr);
	case bpf_htons(ETH_P_IPV6):
		return side == SOURCE ? __builtin_offsetof(struct ipv6hdr, saddr) :
					__builtin_offsetof(struct ipv6hdr, daddr);
	case bpf_htons(ETH_P_ARP):
		return side == SOURCE ? ARP_SENDER_IP : ARP_TARGET_IP;
	}
	return 0;
}

/* Reads an address into a key. Returns false if the frame has none. */
static __always_inline bool address_read(struct __sk_buff *skb, const struct frame *f,
					 enum side side, struct address_key *key)
{
	__u32 offset = address_offset(f->proto, side);

	if (!offset)
		return false;
	offset += frame_network(f);
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return !bpf_skb_load_bytes(skb, offset, key->addr, 16);
	key->addr[10] = key->addr[11] = 0xff;
	return !bpf_skb_load_bytes(skb, offset, key->addr + 12, 4);
}

/* Returns the endpoint that an address is assigned to, or 0. */
static __always_inline const struct party *address_given(const struct address_key *key)
{
	const struct party *p = bpf_map_lookup_elem(&addresses, key);

	return p && p->slot != ADDRESS_HOST ? p : 0;
}

/* Returns the endpoint that the frame's source or target address is assigned to, or 0. */
static __always_inline const struct party *address_party(struct __sk_buff *skb,
							 const struct frame *f, enum side side)
{
	struct address_key key = { .ifindex = f->from.ifindex, .vlan = f->from.vlan };

	return address_read(skb, f, side, &key) ? address_given(&key) : 0;
}

static __always_inline bool address_none(const struct in6_addr *a)
{
	const __u32 *word = a->in6_u.u6_addr32;

	return !(word[0] | word[1] | word[2] | word[3]);
}

/* Returns the offset of an ICMPv6 message, after any extension headers, or 0 if there is none. */
static __always_inline __u32 icmp6_offset(struct __sk_buff *skb, const struct frame *f)
{
	__u32 upper;

	if (f->proto != bpf_htons(ETH_P_IPV6))
		return 0;
	upper = frame_upper(skb, f);
	return UPPER_PROTO(upper) == IPPROTO_ICMPV6 ? UPPER_OFFSET(upper) : 0;
}

/* Reads the target of a neighbour solicitation. Sets sourced to whether it has a source address. */
static __always_inline bool solicit_read(struct __sk_buff *skb, const struct frame *f,
					 struct address_key *key, bool *sourced)
{
	__u32 at = icmp6_offset(skb, f);
	__u8 type;

	if (!at || bpf_skb_load_bytes(skb, at, &type, 1) || type != ND_NEIGHBOUR_SOLICIT ||
	    !address_read(skb, f, SOURCE, key))
		return false;
	*sourced = !address_none((const struct in6_addr *)key->addr);
	return !bpf_skb_load_bytes(skb, at + ND_TARGET, key->addr, 16);
}

/*
 * Returns the endpoint that a probed address is assigned to, or 0. A probe has no
 * source address; its sender is about to use the probed address (RFC 5227,
 * section 2.1.1; RFC 4862, section 5.4).
 */
static __always_inline const struct party *address_probed(struct __sk_buff *skb,
							  const struct frame *f)
{
	struct address_key key = { .ifindex = f->from.ifindex, .vlan = f->from.vlan };
	bool sourced = true;

	if (f->proto == bpf_htons(ETH_P_ARP)) {
		if (!address_read(skb, f, SOURCE, &key) || *(__u32 *)(key.addr + 12))
			return 0;
		return address_party(skb, f, TARGET);
	}
	if (!solicit_read(skb, f, &key, &sourced) || sourced)
		return 0;
	return address_given(&key);
}
