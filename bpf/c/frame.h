/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * What a frame is: its addresses as keys, and its size on the wire.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include "layout.h"

#define VLAN_HLEN 4 /* include/linux/if_vlan.h */
#define VLAN_VID_MASK 0x0fff
#define ARP_BYTES 28 /* RFC 826, of Ethernet and IPv4 */
#define UDP_HLEN 8
#define SCTP_HLEN 12 /* RFC 9260, section 3.1 */

/* Without padding, and all of it set: functions that are verified by themselves want that. */
struct frame {
	struct endpoint_key to __attribute__((aligned(8)));
	__be16 proto; /* behind the VLAN tag */
	__u16 tag; /* bytes of a tag that stands in the frame itself: 0 or 4 */
	struct endpoint_key from __attribute__((aligned(8)));
	__u32 reserved;
};

/*
 * Copies size bytes at offset, both constants: linear data directly, the rest
 * by a helper.
 */
static __always_inline bool frame_read(struct __sk_buff *skb, const __u32 offset, void *to,
				       const __u32 size)
{
	const __u16 *at = (void *)(long)skb->data + offset;

	if ((void *)at + size <= (void *)(long)skb->data_end) {
		__builtin_memcpy(to, at, size);
		return true;
	}
	return !bpf_skb_load_bytes(skb, offset, to, size);
}

/*
 * Set at load time, to measure what frames off a wire cost, which have none:
 * BPF_PROG_TEST_RUN gives one to each.
 */
volatile const bool have_sockets = true;

/*
 * Whether a frame has a socket. In assembly, as the compiler may otherwise
 * compute the address of the member beforehand, which the verifier refuses.
 */
static __always_inline bool frame_socket(struct __sk_buff *skb)
{
	__u64 sk;

	if (!have_sockets)
		return false;
	asm("%0 = *(u64 *)(%1 + %2)"
	    : "=r"(sk)
	    : "r"(skb), "i"(__builtin_offsetof(struct __sk_buff, sk)));
	return sk != 0;
}

/* Where the network header begins. */
static __always_inline __u32 frame_network(const struct frame *f)
{
	return ETH_HLEN + f->tag;
}

static __always_inline bool frame_tagged(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

/*
 * A key is put together in a register and stored by whole words: the look-up
 * reads words, and would wait for smaller stores to reach the cache.
 */
static __always_inline void frame_key(struct endpoint_key *key, const __u16 *mac, __u16 vlan,
				      __u32 ifindex)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	__u64 word = mac[0] | (__u64)mac[1] << 16 | (__u64)mac[2] << 32 | (__u64)vlan << 48;
#else
	__u64 word = (__u64)mac[0] << 48 | (__u64)mac[1] << 32 | (__u64)mac[2] << 16 | vlan;
#endif
	*(volatile __u64 *)key = word;
	key->ifindex = ifindex;
}

/*
 * The kernel takes the tag off every frame it receives, and most senders
 * never put it in; a packet socket can, and a VLAN device without
 * VLAN_FLAG_REORDER_HDR does.
 */
static __always_inline bool frame_tag(struct __sk_buff *skb, struct frame *f, __u16 *vlan)
{
	struct {
		__be16 tci, proto;
	} tag;

	if (skb->vlan_present) {
		*vlan = skb->vlan_tci & VLAN_VID_MASK;
		return true;
	}
	if (!frame_tagged(f->proto))
		return true;
	if (!frame_read(skb, ETH_HLEN, &tag, sizeof(tag)))
		return false;
	*vlan = bpf_ntohs(tag.tci) & VLAN_VID_MASK;
	f->proto = tag.proto;
	f->tag = VLAN_HLEN;
	return true;
}

/* Fills f; false for what is no Ethernet frame. */
static __always_inline bool frame_parse(struct __sk_buff *skb, struct frame *f)
{
	const __u16 *eth = (void *)(long)skb->data;
	__u16 copy[ETH_HLEN / 2];
	__u16 vlan = 0;

	if ((void *)eth + ETH_HLEN > (void *)(long)skb->data_end) {
		if (bpf_skb_load_bytes(skb, 0, copy, sizeof(copy)))
			return false;
		eth = copy;
	}
	f->proto = eth[6];
	f->tag = 0;
	f->reserved = 0;
	if (!frame_tag(skb, f, &vlan))
		return false;
	frame_key(&f->to, eth, vlan, skb->ifindex);
	frame_key(&f->from, eth + 3, vlan, skb->ifindex);
	return true;
}

static __always_inline enum cast frame_cast(const struct frame *f)
{
	const __u16 *mac = (const __u16 *)f->to.mac;

	if (!(f->to.mac[0] & 1))
		return UNICAST;
	return (mac[0] & mac[1] & mac[2]) == 0xffff ? BROADCAST : MULTICAST;
}

/* Copies the first bytes of the network header. */
static __always_inline bool frame_read_network(struct __sk_buff *skb, const struct frame *f,
					       void *to, const __u32 size)
{
	if (f->tag)
		return !bpf_skb_load_bytes(skb, frame_network(f), to, size);
	return frame_read(skb, ETH_HLEN, to, size);
}

/*
 * The length of a frame no longer than the least of Ethernet, where what it
 * says of its payload may be less: the rest is padding.
 */
static __always_inline __u32 frame_unpadded(struct __sk_buff *skb, const struct frame *f,
					    __u32 length)
{
	__u16 head[4]; /* as far as either length of IP stands */
	__u32 real = length;

	if (f->proto == bpf_htons(ETH_P_ARP)) {
		real = ETH_HLEN + ARP_BYTES;
	} else if (bpf_ntohs(f->proto) < ETH_P_802_3_MIN) {
		real = ETH_HLEN + bpf_ntohs(f->proto);
	} else if (f->proto == bpf_htons(ETH_P_IP)) {
		if (frame_read_network(skb, f, head, sizeof(head)))
			real = ETH_HLEN + bpf_ntohs(head[1]);
	} else if (f->proto == bpf_htons(ETH_P_IPV6)) {
		if (frame_read_network(skb, f, head, sizeof(head)))
			real = ETH_HLEN + sizeof(struct ipv6hdr) + bpf_ntohs(head[2]);
	}
	return real < length ? real : length;
}

/* The bytes of a transport header that stand in every segment. */
static __always_inline __u32 frame_transport(struct __sk_buff *skb, __u32 offset, __u8 proto)
{
	__u8 doff;

	switch (proto) {
	case IPPROTO_TCP:
		if (bpf_skb_load_bytes(skb, offset + 12, &doff, sizeof(doff)))
			return 0;
		return (doff >> 4) * 4;
	case IPPROTO_UDP:
		return UDP_HLEN;
	case IPPROTO_SCTP:
		return SCTP_HLEN;
	}
	return 0;
}

/*
 * Steps over the extension headers of IPv6 that segments repeat, the first of
 * which, at offset, is of a protocol. Returns where the next header begins,
 * above its protocol in the lowest eight bits.
 *
 * Functions that are not static are verified once, not for every call.
 */
__noinline __u32 frame_extensions(struct __sk_buff *skb, __u32 offset, __u32 proto)
{
	__u8 ext[2];

#pragma unroll
	for (int i = 0; i < 4; i++) {
		if (proto != IPPROTO_HOPOPTS && proto != IPPROTO_ROUTING &&
		    proto != IPPROTO_DSTOPTS)
			break;
		if (bpf_skb_load_bytes(skb, offset, ext, sizeof(ext)))
			break;
		proto = ext[0];
		offset += (ext[1] + 1) * 8;
	}
	return offset << 8 | (proto & 0xff);
}

/*
 * The bytes of headers that segmentation repeats, a tag in the frame not
 * counted: of a tunnel inside the frame, its outer ones only.
 */
__noinline __u32 frame_headers(struct __sk_buff *skb, __u32 ethertype, __u32 tag)
{
	__u32 offset = ETH_HLEN + tag;
	struct ipv6hdr ip6;
	struct iphdr ip;
	__u32 upper;
	__u8 proto;

	if (ethertype == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)))
			return ETH_HLEN;
		proto = ip.protocol;
		offset += ip.ihl * 4;
	} else if (ethertype == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, offset, &ip6, sizeof(ip6)))
			return ETH_HLEN;
		upper = frame_extensions(skb, offset + sizeof(ip6), ip6.nexthdr);
		proto = upper;
		offset = upper >> 8;
	} else {
		return ETH_HLEN;
	}
	return offset + frame_transport(skb, offset, proto) - tag;
}

/* What segmentation will make, or has made, of a super-packet. */
static __always_inline void frame_segments(struct __sk_buff *skb, const struct frame *f,
				      struct count *n)
{
	__u32 headers = frame_headers(skb, f->proto, f->tag);
	__u32 segments = skb->gso_segs;
	__u32 size = skb->gso_size;

	/* virtio and packet sockets leave the number to be computed. */
	if (!segments && size && n->bytes > headers)
		segments = (n->bytes - headers + size - 1) / size;
	if (segments < 1)
		segments = 1;
	n->packets = segments;
	n->bytes += (__u64)(segments - 1) * headers;
}

/* The size of a frame on the wire, as the endpoints' counters want it. */
static __always_inline void frame_measure(struct __sk_buff *skb, const struct frame *f,
					  struct count *n)
{
	__u32 length = skb->len - f->tag;

	if (length <= ETH_ZLEN)
		length = frame_unpadded(skb, f, length);
	n->packets = 1;
	n->bytes = length;
	if (skb->gso_size)
		frame_segments(skb, f, n);
}
