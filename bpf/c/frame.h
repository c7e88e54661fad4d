/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Parsing of a frame: its addresses as keys, and its size on the wire.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include "kernel.h"
#include "layout.h"

#define VLAN_HLEN 4 /* include/linux/if_vlan.h */
#define VLAN_VID_MASK 0x0fff
#define IP_OFFSET_MASK 0x1fff /* RFC 791, section 3.1 */
#define IP_MORE_FRAGMENTS 0x2000
#define ARP_BYTES 28 /* RFC 826, of Ethernet and IPv4 */
#define UDP_HLEN 8
#define SCTP_HLEN 12 /* RFC 9260, section 3.1 */

/* The datapath reads at most this many stacked VLAN tags. */
#define TAGS_MAX 8

/* The datapath reads at most this many headers between IP and the upper layer. */
#define EXTENSIONS_MAX 8

#define LLC_SNAP_BYTES 8 /* RFC 1042; a protocol is last */

#define DHCP_SERVER 67 /* RFC 2131, section 4.1; the client's port is the next one */
#define DHCPV6_CLIENT 546 /* RFC 8415, section 7.2; the server's port is the next one */

/* Reports whether a port is a client's or a server's of DHCP. */
static __always_inline bool dhcp_port(__be16 port, bool v6)
{
	return (__u16)(bpf_ntohs(port) - (v6 ? DHCPV6_CLIENT : DHCP_SERVER)) <= 1;
}

/* Has no padding and is fully initialised, which global functions require of a pointer's target. */
struct frame {
	struct endpoint_key to __attribute__((aligned(8)));
	__be16 proto; /* after VLAN tags and LLC, or that of a tag that the datapath does not read */
	__u16 tag; /* bytes of VLAN tags in the frame's data */
	struct endpoint_key from __attribute__((aligned(8)));
	__u16 network; /* offset of the network header */
	__u16 length; /* of the payload in an IEEE 802.3 frame, else 0 */
};

/*
 * Copies size bytes at offset, both constants: directly if the data is linear,
 * else by a helper.
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
 * False if the programs are loaded to measure the cost of frames from a wire.
 * Those have no socket, but BPF_PROG_TEST_RUN gives each frame one.
 */
volatile const bool have_sockets = true;

/*
 * Reports whether a frame has a socket. It is assembly because the compiler may
 * otherwise compute the member's address first, which the verifier refuses.
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

/* Returns the offset of the network header. */
static __always_inline __u32 frame_network(const struct frame *f)
{
	return f->network;
}

static __always_inline bool frame_tagged(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

/*
 * Builds a key in a register and stores whole words. The look-up reads words,
 * and after smaller stores it would wait until they reach the cache.
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

/* Reports whether a frame has more VLAN tags than the datapath reads, or ends within a tag. */
static __always_inline bool frame_hidden(const struct frame *f)
{
	return frame_tagged(f->proto);
}

/*
 * Reports whether a frame ends before the Ethernet header, tag or ARP message that the datapath
 * reads: a card fills it with zeros up to Ethernet's minimum.
 */
static __always_inline bool frame_cut(struct __sk_buff *skb, const struct frame *f)
{
	__u32 least = frame_hidden(f) ? VLAN_HLEN : f->proto == bpf_htons(ETH_P_ARP) ? ARP_BYTES : 0;

	return skb->len < f->network + least;
}

/*
 * Reads IEEE 802.3 with LLC, which network stacks other than Linux's treat as Ethernet (RFC 1042).
 * It does not read the service points and the organisation: U-Boot accepts any, and Linux, from
 * Wi-Fi, 00-00-f8 too (IEEE 802.1H; ieee80211_data_to_8023_exthdr in net/wireless/util.c).
 */
static __always_inline void frame_llc(struct __sk_buff *skb, struct frame *f)
{
	__be16 proto;

	f->length = bpf_ntohs(f->proto);
	if (bpf_skb_load_bytes(skb, f->network + LLC_SNAP_BYTES - sizeof(proto), &proto, sizeof(proto)))
		return;
	f->proto = proto;
	f->network += LLC_SNAP_BYTES;
}

/*
 * Reads all VLAN tags in a frame's data, and LLC. A receiver ignores every tag
 * with VLAN 0 and enters the VLAN of the first other tag
 * (__netif_receive_skb_core in net/core/dev.c). The argument vlan is that of a
 * tag that the kernel has removed from the data, or 0. Returns the VLAN.
 *
 * The function is not static, so it is verified once and not at every call.
 */
__noinline int frame_layers(struct __sk_buff *skb, struct frame *f, __u32 vlan)
{
	__be16 tag[2];

	if (!f)
		return -1;
	for (int i = 0; i < TAGS_MAX && frame_tagged(f->proto); i++) {
		if (bpf_skb_load_bytes(skb, f->network, tag, sizeof(tag)))
			return vlan;
		if (!vlan)
			vlan = bpf_ntohs(tag[0]) & VLAN_VID_MASK;
		f->proto = tag[1];
		f->tag += VLAN_HLEN;
		f->network += VLAN_HLEN;
	}
	if (bpf_ntohs(f->proto) < ETH_P_802_3_MIN)
		frame_llc(skb, f);
	return vlan;
}

/*
 * Copies the beginning of a frame. AF_XDP sends some that are shorter than an Ethernet header,
 * which a card fills with zeros, as the helper does. Returns false for one without a source MAC. The
 * verifier of 6.1 takes no size that is not constant here.
 */
static __noinline bool frame_header(struct __sk_buff *skb, __u16 *copy)
{
#pragma unroll
	for (__u32 size = ETH_HLEN; size > ETH_ALEN; size--)
		if (!bpf_skb_load_bytes(skb, 0, copy, size))
			return true;
	return false;
}

/* Fills f. Returns false if it cannot read a frame. */
static __always_inline bool frame_parse(struct __sk_buff *skb, struct frame *f)
{
	const __u16 *eth = (void *)(long)skb->data;
	__u16 copy[ETH_HLEN / 2] = {};
	int vlan = 0;

	if ((void *)eth + ETH_HLEN > (void *)(long)skb->data_end) {
		if (!frame_header(skb, copy))
			return false;
		eth = copy;
	}
	f->proto = eth[6];
	f->tag = 0;
	f->network = ETH_HLEN;
	f->length = 0;
	if (skb->vlan_present)
		vlan = skb->vlan_tci & VLAN_VID_MASK;
	if (frame_tagged(f->proto) || bpf_ntohs(f->proto) < ETH_P_802_3_MIN)
		vlan = frame_layers(skb, f, vlan);
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
	if (f->network != ETH_HLEN)
		return !bpf_skb_load_bytes(skb, frame_network(f), to, size);
	return frame_read(skb, ETH_HLEN, to, size);
}

/*
 * Returns the length without padding of a frame that is no longer than
 * Ethernet's minimum. It is computed from the length in the network header.
 */
static __always_inline __u32 frame_unpadded(struct __sk_buff *skb, const struct frame *f,
					    __u32 length)
{
	__u16 head[4]; /* up to the length field of IPv4 and IPv6 */
	__u32 real = length;

	if (f->length || bpf_ntohs(f->proto) < ETH_P_802_3_MIN) {
		real = ETH_HLEN + f->length;
	} else if (f->proto == bpf_htons(ETH_P_ARP)) {
		real = ETH_HLEN + ARP_BYTES;
	} else if (f->proto == bpf_htons(ETH_P_IP)) {
		if (frame_read_network(skb, f, head, sizeof(head)))
			real = ETH_HLEN + bpf_ntohs(head[1]);
	} else if (f->proto == bpf_htons(ETH_P_IPV6)) {
		if (frame_read_network(skb, f, head, sizeof(head)))
			real = ETH_HLEN + sizeof(struct ipv6hdr) + bpf_ntohs(head[2]);
	}
	return real < length ? real : length;
}

/* Returns the size of the transport header, which every segment repeats. */
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

/* The result of frame_upper: the upper-layer protocol, the offset of its header, and two flags. */
#define UPPER_PROTO(u) ((__u8)(u))
#define UPPER_OFFSET(u) ((u) >> 8 & 0xffff)
#define UPPER_FRAGMENT (1U << 24) /* the frame is the first fragment of a datagram */
#define UPPER_HIDDEN (1U << 25) /* the upper layer follows more headers than the datapath reads */

/* The protocols of headers between IP and the upper layer, as bits. Each number is below 64. */
#define UPPER_BIT(proto) (1ULL << (proto))
#define EXTENSIONS4 UPPER_BIT(IPPROTO_AH)
#define EXTENSIONS6                                                                      \
	(UPPER_BIT(IPPROTO_HOPOPTS) | UPPER_BIT(IPPROTO_ROUTING) | UPPER_BIT(IPPROTO_FRAGMENT) | \
	 UPPER_BIT(IPPROTO_AH) | UPPER_BIT(IPPROTO_DSTOPTS))

/*
 * Returns the offset of the first byte that a receiver does not take from the
 * first fragment of a datagram. It takes none behind the length in the IP header,
 * and cuts an IPv4 fragment to a multiple of 8 (ip_frag_queue in
 * net/ipv4/ip_fragment.c).
 */
__noinline __u32 fragment_end(struct __sk_buff *skb, const struct frame *f)
{
	__u16 head[4]; /* up to the length field of IPv4 and IPv6 */
	__u32 header;

	if (!f || bpf_skb_load_bytes(skb, f->network, head, sizeof(head)))
		return 0;
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return f->network + sizeof(struct ipv6hdr) + bpf_ntohs(head[2]);
	header = (*(__u8 *)head & 0xf) * 4;
	return f->network + header + ((bpf_ntohs(head[1]) - header) & ~7U);
}

/*
 * Reads bytes of the upper layer. Returns false if they are behind the end of the
 * frame, or of what a receiver takes from a first fragment.
 */
static __always_inline bool upper_read(struct __sk_buff *skb, const struct frame *f, __u32 upper,
				       __u32 offset, void *to, const __u32 size)
{
	if (upper & UPPER_FRAGMENT && offset + size > fragment_end(skb, f))
		return false;
	return !bpf_skb_load_bytes(skb, offset, to, size);
}

/*
 * Skips the headers of the given protocols (bits), as receivers do. The first
 * header is at offset and of protocol proto. Returns 0 for a later fragment,
 * because it has no readable upper-layer header: the first 8 bytes of a datagram
 * are in its first fragment, whichever fragments overlap. A first fragment ends
 * at the offset end.
 */
__noinline __u32 upper_walk(struct __sk_buff *skb, __u32 offset, __u32 proto, __u64 extensions,
			    __u32 end)
{
	__u32 flags = 0;
	__u8 header[4];

	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		if (proto > 63 || !(extensions >> proto & 1))
			return flags | (offset & 0xffff) << 8 | (proto & 0xff);
		if ((flags && offset + sizeof(header) > end) ||
		    bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
			return flags ? UPPER_HIDDEN : 0; /* receivers discard a truncated header */
		if (proto == IPPROTO_FRAGMENT) {
			if ((header[2] << 8 | header[3]) & 0xfff8)
				return 0;
			flags = UPPER_FRAGMENT;
			header[1] = 0;
		}
		offset += proto == IPPROTO_AH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		proto = header[0];
	}
	return UPPER_HIDDEN;
}

/* Finds the upper layer of IP. Returns 0 if there is none. */
__noinline __u32 frame_upper(struct __sk_buff *skb, const struct frame *f)
{
	struct ipv6hdr ip6;
	struct iphdr ip;
	__u32 upper;

	if (!f)
		return 0;
	if (f->proto == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, f->network, &ip6, sizeof(ip6)))
			return 0;
		return upper_walk(skb, f->network + sizeof(ip6), ip6.nexthdr, EXTENSIONS6,
				  f->network + sizeof(ip6) + bpf_ntohs(ip6.payload_len));
	}
	if (f->proto != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, f->network, &ip, sizeof(ip)) ||
	    ip.frag_off & bpf_htons(IP_OFFSET_MASK))
		return 0;
	upper = upper_walk(skb, f->network + ip.ihl * 4, ip.protocol, EXTENSIONS4, 0);
	return ip.frag_off & bpf_htons(IP_MORE_FRAGMENTS) ? upper | UPPER_FRAGMENT : upper;
}

/* Reports whether all that the programs judge of an IP packet is in the memory from ip to end. */
static __always_inline bool packet_steady(__be16 proto, const struct iphdr *ip, const void *end)
{
	const __u64 read6 = EXTENSIONS6 | UPPER_BIT(IPPROTO_ICMPV6);
	const struct ipv6hdr *ip6 = (void *)ip;
	const __be16 *port = (void *)(ip + 1);
	const __u8 *option = (void *)(ip6 + 1);

	if ((void *)port > end)
		return false;
	if (proto == bpf_htons(ETH_P_IP)) {
		if (ip->protocol != IPPROTO_UDP)
			return ip->protocol != IPPROTO_AH;
		return ip->ihl == 5 && (void *)(port + 2) <= end && !dhcp_port(port[1], false);
	}
	port = (void *)option;
	if (proto != bpf_htons(ETH_P_IPV6) || (void *)(port + 2) > end)
		return false;
	if (ip6->nexthdr == IPPROTO_UDP)
		return !dhcp_port(port[1], true);
	if (ip6->nexthdr == IPPROTO_HOPOPTS) /* the length of a super-packet of more than 64 KiB */
		return option[0] == IPPROTO_TCP && !option[1];
	return ip6->nexthdr > 63 || !(read6 >> ip6->nexthdr & 1);
}

/*
 * Reports whether all that the programs judge of a frame is in its linear memory: the
 * headers of TCP, and of datagrams unless they are for a port of DHCP. Of other protocols the
 * addresses are judged, unless it is a header before the upper layer, or ICMPv6.
 */
static __always_inline bool frame_steady(struct __sk_buff *skb)
{
	const void *end = (void *)(long)skb->data_end, *at = (void *)(long)skb->data;
	const __be16 *proto = at + 2 * ETH_ALEN;

	if ((void *)(proto + 1) > end)
		return false;
	for (int i = 0; i < 2 && frame_tagged(*proto); i++) {
		proto += VLAN_HLEN / sizeof(*proto);
		if ((void *)(proto + 1) > end)
			return false;
	}
	return packet_steady(*proto, (void *)(proto + 1), end);
}

/* Reports whether a frame on ingress is for a group. */
static __always_inline bool frame_grouped(struct __sk_buff *skb)
{
	return skb->pkt_type == PACKET_MULTICAST || skb->pkt_type == PACKET_BROADCAST;
}

/* Returns the size of a frame's linear memory. */
static __always_inline __u32 frame_linear(struct __sk_buff *skb)
{
	__u64 linear = (long)skb->data_end - (long)skb->data;

	barrier_var(linear); /* the verifier permits no difference of 32 bits */
	return linear;
}

/*
 * Reports whether all that the programs judge is in memory of the kernel's own, which the linear
 * one is. The rest may be pages that the sender still writes to (PACKET_TX_RING, MSG_ZEROCOPY,
 * splice), so that a program and the receiver would read different bytes.
 */
static __always_inline bool frame_settled(struct __sk_buff *skb)
{
	return frame_linear(skb) >= skb->len || frame_steady(skb);
}

/* Settles a frame: copies it into linear memory if needed. Returns false if there is no memory. */
static __always_inline bool frame_settle(struct __sk_buff *skb)
{
	return frame_settled(skb) || !bpf_skb_pull_data(skb, skb->len);
}

/* The result of frame_repeated: the headers of each segment. */
#define REPEATED(r) ((r) & 0xffff) /* bytes of repeated headers, without VLAN tags in the data */
#define ADDED(r) ((r) >> 16) /* bytes of an added header */

#define IP6_FRAGMENT_BYTES 8 /* RFC 8200, section 4.5 */

/* Returns the size of all headers of a tunnel, to the end of the inner transport header. */
static __always_inline __u32 repeated_inner(struct __sk_buff *skb, __u32 inner)
{
	__u32 type = kernel_gso_type(skb);

	return inner + frame_transport(skb, inner, type & GSO_TCP	   ? IPPROTO_TCP :
						   type & GSO_UDP_SEGMENTS ? IPPROTO_UDP :
									     IPPROTO_SCTP);
}

/*
 * Returns the size of the headers that the kernel repeats in each segment of a
 * super-packet. They end with the transport header, or with a tunnel's inner
 * transport header. UDP that is cut into fragments repeats only the IP header,
 * and IPv6 adds a fragment header. If the programs cannot read the kernel's
 * types, only the outer headers of a tunnel are known.
 */
__noinline __u32 frame_repeated(struct __sk_buff *skb, const struct frame *f)
{
	__u32 upper = frame_upper(skb, f), offset = UPPER_OFFSET(upper), inner;
	__u8 proto = UPPER_PROTO(upper);

	if (!f || !offset)
		return ETH_HLEN;
	if (have_kernel_types && proto != IPPROTO_TCP) {
		inner = kernel_inner_transport(skb);
		if (inner)
			return (repeated_inner(skb, inner) - f->tag) & 0xffff;
		if (kernel_gso_type(skb) & GSO_UDP_FRAGMENTS)
			return (f->proto == bpf_htons(ETH_P_IPV6) ? IP6_FRAGMENT_BYTES << 16 : 0) |
			       ((offset - f->tag) & 0xffff);
	}
	return (offset + frame_transport(skb, offset, proto) - f->tag) & 0xffff;
}

#define JUMBO_MIN 65536
#define JUMBO_BYTES 8 /* of a hop-by-hop header with the option of RFC 2675 */

/*
 * Returns the size of the header that kernels from 5.19 on put into an IPv6 super-packet of more
 * than 64 KiB, and remove when they segment it (ipv6_hopopt_jumbo_remove in include/net/ipv6.h).
 * 7.2 puts none there.
 */
static __always_inline __u32 frame_jumbo(struct __sk_buff *skb, const struct frame *f)
{
	__u32 at = f->network + __builtin_offsetof(struct ipv6hdr, nexthdr);
	__u8 next;

	if (skb->len <= JUMBO_MIN || f->proto != bpf_htons(ETH_P_IPV6) ||
	    bpf_skb_load_bytes(skb, at, &next, sizeof(next)) || next != IPPROTO_HOPOPTS)
		return 0;
	return JUMBO_BYTES;
}

/* Computes the segments of a super-packet, and their bytes. */
static __always_inline void frame_segments(struct __sk_buff *skb, const struct frame *f,
					   struct count *n)
{
	__u32 repeated = frame_repeated(skb, f), jumbo = frame_jumbo(skb, f);
	__u32 headers = REPEATED(repeated) - jumbo;
	__u32 segments = skb->gso_segs;
	__u32 size = skb->gso_size;

	n->bytes -= jumbo;
	/* virtio and packet sockets do not set the number of segments. */
	if (!segments && size && n->bytes > headers)
		segments = (n->bytes - headers + size - 1) / size;
	if (segments < 1)
		segments = 1;
	n->packets = segments;
	n->bytes += (__u64)(segments - 1) * headers + (__u64)segments * ADDED(repeated);
}

/* Computes the packets and bytes of a frame on the wire, for the counters. */
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
