/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Group frames on ingress with an endpoint's MAC as their source. They come from
 * the wire, because the driver gives siblings their copies past the parent. If
 * the endpoint sent such a frame in the last second, this one is a copy of it
 * (reflected, in mode bridge), else another machine's (duplicate-mac). If another frame has
 * the element of its fingerprint, it may be either, and nothing is counted.
 */
#pragma once

#include "frame.h"
#include "judge.h"
#include "sibling.h"

#define PRINT_FACTOR 0x9e3779b97f4a7c15ULL /* 2^64 divided by the golden ratio */

enum copy { COPY_NONE, COPY_MAYBE, COPY_SURE };

static __always_inline __u64 print_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * PRINT_FACTOR;
	return hash ^ hash >> 32;
}

/*
 * Adds the fields that distinguish IPv4 frames: addresses, protocol, and ports
 * unless they are padding. Checksums are left out, because they may be
 * incomplete on egress.
 */
static __always_inline __u64 print_ip4(struct __sk_buff *skb, const struct frame *f, __u64 hash)
{
	struct {
		struct iphdr ip;
		__u32 ports;
	} head;

	if (!frame_read_network(skb, f, &head, sizeof(head))) {
		head.ports = 0;
		if (!frame_read_network(skb, f, &head.ip, sizeof(head.ip)))
			return hash;
	}
	if (bpf_ntohs(head.ip.tot_len) < sizeof(head) ||
	    (head.ip.protocol != IPPROTO_UDP && head.ip.protocol != IPPROTO_TCP))
		head.ports = 0;
	hash = print_mix(hash, (__u64)head.ip.saddr << 32 | head.ip.daddr);
	return print_mix(hash, (__u64)head.ports << 8 | head.ip.protocol);
}

/* The same for IPv6: addresses, protocol, and ports or the ICMPv6 type and code. */
static __always_inline __u64 print_ip6(struct __sk_buff *skb, const struct frame *f, __u64 hash)
{
	struct {
		struct ipv6hdr ip6;
		__u16 next[2];
	} head;
	const __u32 *word;

	if (!frame_read_network(skb, f, &head, sizeof(head)) || bpf_ntohs(head.ip6.payload_len) < 4) {
		head.next[0] = head.next[1] = 0;
		if (!frame_read_network(skb, f, &head.ip6, sizeof(head.ip6)))
			return hash;
	}
	if (head.ip6.nexthdr != IPPROTO_UDP)
		head.next[1] = 0;
	word = head.ip6.saddr.in6_u.u6_addr32;
	hash = print_mix(hash, (__u64)word[0] << 32 | word[1]);
	hash = print_mix(hash, (__u64)word[2] << 32 | word[3]);
	word = head.ip6.daddr.in6_u.u6_addr32;
	hash = print_mix(hash, (__u64)word[0] << 32 | word[3]);
	return print_mix(hash, (__u64)head.next[0] << 24 | head.next[1] << 8 | head.ip6.nexthdr);
}

/*
 * Returns a hash of the fields that a frame shares with its copies, and most
 * likely with no other frame. All segments of a super-packet have the same hash.
 */
static __always_inline __u32 print_of(struct __sk_buff *skb, const struct frame *f)
{
	__u64 hash = print_mix((__u64)f->from.ifindex << 16 | f->proto, *(const __u64 *)&f->to);
	__u64 arp[2];

	hash = print_mix(hash, *(const __u64 *)&f->from); /* MAC and VLAN, as in f->to */
	if (f->proto == bpf_htons(ETH_P_IP))
		return print_ip4(skb, f, hash);
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return print_ip6(skb, f, hash);
	if (f->proto == bpf_htons(ETH_P_ARP) &&
	    !bpf_skb_load_bytes(skb, frame_network(f) + ARP_SENDER_IP - 2, arp, sizeof(arp)))
		hash = print_mix(print_mix(hash, arp[0]), arp[1]);
	return hash;
}

static __always_inline struct print *print_at(__u32 hash)
{
	__u32 index = hash >> (32 - PRINT_BITS);

	return bpf_map_lookup_elem(&prints, &index);
}

static __always_inline void print_set(struct print *p, __u32 hash, __u32 when)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	*(volatile __u64 *)p = hash | (__u64)when << 32; /* one store for both members */
#else
	*(volatile __u64 *)p = (__u64)hash << 32 | when;
#endif
}

/* Stores the fingerprint of a group frame that an endpoint sends. */
__noinline int group_sent(struct __sk_buff *skb, const struct frame *f)
{
	struct print *p;
	__u32 hash;

	if (!f)
		return 0;
	hash = print_of(skb, f);
	p = print_at(hash);
	if (p)
		print_set(p, hash, ticks_now());
	return 0;
}

/*
 * Returns COPY_SURE if an endpoint sent this frame in the last second, COPY_NONE if its
 * element holds no recent frame, or COPY_MAYBE if it holds another frame, which may have
 * replaced this one. The time is renewed, so that a frame that circles in a loop remains
 * a copy.
 */
static __always_inline enum copy group_copy(struct __sk_buff *skb, const struct frame *f)
{
	__u32 hash = print_of(skb, f);
	struct print *p = print_at(hash);

	if (!p || !ticks_recent(p->when))
		return COPY_NONE;
	if (p->hash != hash)
		return COPY_MAYBE;
	print_set(p, hash, ticks_now());
	return COPY_SURE;
}

/* Judges a group frame on ingress with an endpoint's MAC as its source. */
__noinline int group_judge(struct __sk_buff *skb, const struct frame *f, const struct endpoint *from)
{
	struct offence offence = {
		.kind = REFLECTED,
		.certainty = CERTAIN,
		.evidence = FRAME_COPY,
		.direction = INGRESS,
	};
	enum copy copy;

	if (!f || !from)
		return 0;
	copy = group_copy(skb, f);
	if (copy == COPY_NONE) {
		duplicate_mac(skb, f, from, 0, CERTAIN, NOT_SENT);
	} else if (copy == COPY_SURE && from->is.mode == MODE_BRIDGE) {
		offence.sender = from->is.slot;
		violation_report(skb, f, &from->is, &offence);
	}
	return 0;
}
