/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Forged sources and server messages: ip-spoof, a source address that is not
 * assigned to the endpoint, and rogue-dhcp and rogue-ra, messages that only
 * servers and routers send.
 *
 * source_plain accepts most frames by their header alone. source_judge examines
 * the others, of which most are valid too.
 */
#pragma once

#include <linux/udp.h>
#include "address.h"
#include "frame.h"
#include "judge.h"

#define DHCP_CLIENT 68 /* RFC 2131, section 4.1 */
#define DHCP_REPLY 2 /* section 2: op of a server's message */
#define DHCP_COOKIE 236 /* section 3: the offset of 63 82 53 63 in a message */
#define DHCPV6_SERVER 547 /* RFC 8415, section 7.2 */
#define DHCPV6_ADVERTISE 2 /* section 7.3: this and the next two are sent by servers only */
#define DHCPV6_REPLY 7
#define DHCPV6_RECONFIGURE 10
#define DHCPV6_RELAYED 13 /* Relay-reply, which servers send to relays */
#define DHCPV6_DHCPV4 21 /* DHCPV4-response, RFC 7341 */
#define UDP_SUM 6 /* offset of the checksum in a UDP header, RFC 768 */
#define ICMP_SUM 2 /* RFC 4443, section 2.1 */
#define SUM_UPPER4 (ETH_HLEN + sizeof(struct iphdr))
#define SUM_UPPER6 (ETH_HLEN + sizeof(struct ipv6hdr))
#define ND_ROUTER_ADVERT 134 /* RFC 4861, section 4.2 */
#define ND_NEIGHBOUR_ADVERT 136 /* section 4.4 */

/* Reports whether source addresses in the endpoint's IP headers are judged. */
static __always_inline bool source_ip_judged(const struct party *from)
{
	return !(from->exempt & 1U << IP_SPOOF) && !(from->flags & ENDPOINT_ROUTER);
}

static __always_inline bool source_plain4(const struct iphdr *ip, const void *end,
					  const struct endpoint *from)
{
	const __be16 *port = (void *)(ip + 1);

	if ((void *)port > end || (ip->saddr != from->addr4 && source_ip_judged(&from->is)))
		return false;
	if (ip->protocol != IPPROTO_UDP)
		return ip->protocol != IPPROTO_AH;
	return ip->ihl == 5 && (void *)(port + 2) <= end && port[0] != bpf_htons(DHCP_SERVER) &&
	       !dhcp_port(port[1], false);
}

/* Reports whether an IPv6 address is link-local (RFC 4291, section 2.5.6). */
static __always_inline bool source_link_local(const __be32 *word)
{
	return (word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* Reports whether an endpoint may use an IPv6 address that is assigned to none. */
static __always_inline bool source_own6(const struct party *from, const __be32 *word)
{
	if (source_link_local(word))
		return !(from->flags & ENDPOINT_LINK_LOCAL);
	return from->flags & ENDPOINT_OWN_IPV6 || !(word[0] | word[1] | word[2] | word[3]);
}

static __always_inline bool source_plain6(const struct ipv6hdr *ip6, const void *end,
					  const struct endpoint *from)
{
	const __be32 *is = ip6->saddr.in6_u.u6_addr32, *first = from->addr6;
	const __be16 *port = (void *)(ip6 + 1);

	if ((void *)port > end)
		return false;
	if (((is[0] ^ first[0]) | (is[1] ^ first[1]) | (is[2] ^ first[2]) | (is[3] ^ first[3])) &&
	    source_ip_judged(&from->is) &&
	    (!(from->is.flags & ENDPOINT_OWN_IPV6) || source_link_local(is)))
		return false;
	if (ip6->nexthdr == IPPROTO_TCP)
		return true;
	return ip6->nexthdr == IPPROTO_UDP && (void *)(port + 2) <= end &&
	       port[0] != bpf_htons(DHCPV6_SERVER) && !dhcp_port(port[1], true);
}

/*
 * Reports whether a pending checksum spares the header at an offset and the byte behind a UDP
 * header, as that of UDP, and of TCP, does.
 */
static __always_inline bool sum_plain(struct __sk_buff *skb, __u32 upper)
{
	__u32 at = kernel_sum_offset(skb);

	return at == upper + UDP_SUM || at > upper + UDP_HLEN;
}

/* Reports whether an endpoint's frame is valid by its headers, so that source_judge need not examine it. */
static __always_inline bool source_plain(struct __sk_buff *skb, const struct frame *f,
					 const struct endpoint *from)
{
	const void *end = (void *)(long)skb->data_end;
	const void *at = (void *)(long)skb->data + ETH_HLEN;

	if (f->from.vlan || f->network != ETH_HLEN)
		return false;
	if (f->proto == bpf_htons(ETH_P_IP))
		return source_plain4(at, end, from) && sum_plain(skb, SUM_UPPER4);
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return source_plain6(at, end, from) && sum_plain(skb, SUM_UPPER6);
	return f->proto != bpf_htons(ETH_P_ARP) && kernel_sum_offset(skb) == NO_SUM;
}

/*
 * Reports whether a checksum that is written behind the programs overwrites bytes that they
 * read: the MACs, tags, an ARP message, the IP header and those that follow it, the beginning
 * of a DHCP message, neighbour discovery. No checksum of a protocol is there.
 */
__noinline bool sum_overwrites(struct __sk_buff *skb, const struct frame *f)
{
	__u32 at = kernel_sum_offset(skb), upper, offset;

	if (!f || at == NO_SUM)
		return false;
	if (f->proto != bpf_htons(ETH_P_IP) && f->proto != bpf_htons(ETH_P_IPV6))
		return at < f->network + ARP_BYTES;
	upper = frame_upper(skb, f);
	offset = UPPER_OFFSET(upper);
	if (!offset)
		return true;
	if (UPPER_PROTO(upper) == IPPROTO_UDP)
		return at != offset + UDP_SUM && at <= offset + UDP_HLEN;
	if (UPPER_PROTO(upper) == IPPROTO_ICMPV6)
		return at != offset + ICMP_SUM && at < offset + ND_TARGET + 16;
	return at < offset;
}

/* Judges ip-spoof of a source address in an endpoint's frame. Reports whether to drop it. */
static __always_inline bool source_spoof(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct offence *offence,
					 const struct address_key *key)
{
	const __be32 *word = (const __be32 *)key->addr;
	const struct party *owner;

	if (f->proto == bpf_htons(ETH_P_IPV6) ? source_own6(from, word) : !word[3])
		return false;
	owner = address_given(key);
	if (owner && (owner->slot == from->slot || (owner->ns && owner->ns == from->ns)))
		return false; /* assigned to the sender's namespace, on any of its interfaces */
	offence->kind = IP_SPOOF;
	offence->owner = owner ? owner->slot : 0;
	return violation_report(skb, f, from, offence);
}

static __always_inline bool source_rogue(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct offence *offence,
					 enum kind kind)
{
	offence->kind = kind;
	offence->owner = 0;
	return violation_report(skb, f, from, offence);
}

/*
 * Judges a frame whose relevant part the datapath cannot read. kinds are the kinds
 * (bits) that it may be; each must be in the list of the function. The frame counts as
 * one of them: the first of the list that is enforced, else the first that is judged.
 * Reports whether to drop the frame.
 */
static __always_inline bool source_hidden(struct __sk_buff *skb, const struct frame *f,
					  const struct party *from, struct offence *offence,
					  __u32 kinds)
{
	__u32 judged = kinds & ~from->exempt;

	if (judged & from->enforce)
		judged &= from->enforce;
	offence->kind = judged & 1U << MAC_SPOOF       ? MAC_SPOOF :
			judged & 1U << IP_SPOOF	       ? IP_SPOOF :
			judged & 1U << ROGUE_DHCP      ? ROGUE_DHCP :
			judged & 1U << ROGUE_RA	       ? ROGUE_RA :
			judged & 1U << PRIVATE_ATTEMPT ? PRIVATE_ATTEMPT :
							 HOST_ISOLATION;
	if (!(judged & 1U << offence->kind))
		return false;
	offence->owner = 0;
	offence->certainty = SUSPECTED;
	offence->evidence = UNREADABLE;
	return violation_report(skb, f, from, offence);
}

/* Returns the kinds (bits) that an unreadable upper layer may be. */
static __always_inline __u32 source_kinds(const struct frame *f, const struct party *from)
{
	if (f->proto == bpf_htons(ETH_P_IP))
		return 1U << ROGUE_DHCP;
	if (f->from.vlan || (from->flags & (ENDPOINT_OWN_IPV6 | ENDPOINT_LINK_LOCAL)) == ENDPOINT_OWN_IPV6)
		return 1U << ROGUE_DHCP | 1U << ROGUE_RA;
	return 1U << ROGUE_DHCP | 1U << ROGUE_RA | 1U << IP_SPOOF;
}

/* Reports whether a message of DHCPv6 to a port is one that only servers send. */
static __always_inline bool dhcp6_served(__u8 type, __be16 port)
{
	if (port == bpf_htons(DHCPV6_SERVER))
		return type == DHCPV6_RELAYED;
	return type == DHCPV6_ADVERTISE || type == DHCPV6_REPLY || type == DHCPV6_RECONFIGURE ||
	       type == DHCPV6_DHCPV4;
}

enum cookie { COOKIE_NONE, COOKIE_SEEN, COOKIE_HIDDEN };

/*
 * Reports whether a datagram of IPv4 has the cookie of every message of DHCP. It may be
 * in a later datagram of several, in a later fragment, or a checksum that is still to be written.
 */
__noinline int cookie_find(struct __sk_buff *skb, const struct frame *f, __u32 upper)
{
	__u32 at = UPPER_OFFSET(upper) + UDP_HLEN + DHCP_COOKIE;
	__be32 cookie;

	if (!f)
		return COOKIE_NONE;
	if (skb->gso_size || kernel_sum_offset(skb) - at + 1 <= sizeof(cookie))
		return COOKIE_HIDDEN;
	if (!upper_read(skb, f, upper, at, &cookie, sizeof(cookie)))
		return upper & UPPER_FRAGMENT ? COOKIE_HIDDEN : COOKIE_NONE;
	return cookie == bpf_htonl(0x63825363) ? COOKIE_SEEN : COOKIE_NONE;
}

/* The same for bytes at an offset that look like a datagram to a client's port. */
static __always_inline int cookie_at(struct __sk_buff *skb, const struct frame *f, __u32 at)
{
	__be16 port;

	if (bpf_skb_load_bytes(skb, at + sizeof(port), &port, sizeof(port)) ||
	    port != bpf_htons(DHCP_CLIENT))
		return COOKIE_NONE;
	return cookie_find(skb, f, at << 8 | IPPROTO_UDP);
}

/*
 * The same for bytes that are no datagram, and that clients which read all frames, as they
 * have no address yet, may take for one: a later fragment (busybox), and what follows the first
 * 20 bytes of a header with options (systemd-networkd).
 */
static __always_inline int cookie_lax(struct __sk_buff *skb, const struct frame *f, __u32 upper)
{
	int cookie = COOKIE_NONE;
	struct iphdr ip;

	if (f->proto != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, f->network, &ip, sizeof(ip)) ||
	    ip.protocol != IPPROTO_UDP)
		return COOKIE_NONE;
	if (!upper)
		cookie = cookie_at(skb, f, f->network + ip.ihl * 4);
	if (cookie == COOKIE_NONE && ip.ihl != 5)
		cookie = cookie_at(skb, f, f->network + sizeof(ip));
	return cookie;
}

/*
 * Judges a message of DHCP to a client's port by its cookie: some clients (busybox) do not read
 * whether it is a reply.
 */
static __always_inline bool source_cookie(struct __sk_buff *skb, const struct frame *f,
					  const struct party *from, struct offence *offence,
					  int cookie)
{
	if (cookie == COOKIE_HIDDEN)
		return source_hidden(skb, f, from, offence, 1U << ROGUE_DHCP);
	return cookie == COOKIE_SEEN && source_rogue(skb, f, from, offence, ROGUE_DHCP);
}

/*
 * Judges rogue-dhcp: UDP from a server's port, or a server's message to a port of DHCP. Of the
 * messages in a super-packet only the first one can be read.
 */
static __always_inline bool source_dhcp(struct __sk_buff *skb, const struct frame *f,
					const struct party *from, struct offence *offence,
					__u32 upper)
{
	bool v6 = f->proto == bpf_htons(ETH_P_IPV6);
	__u32 at = UPPER_OFFSET(upper);
	__be16 port[2];
	__u8 number;

	if (!upper_read(skb, f, upper, at, port, sizeof(port)))
		return upper & UPPER_FRAGMENT &&
		       source_hidden(skb, f, from, offence, 1U << ROGUE_DHCP);
	if (port[0] == bpf_htons(v6 ? DHCPV6_SERVER : DHCP_SERVER))
		return source_rogue(skb, f, from, offence, ROGUE_DHCP);
	if (!dhcp_port(port[1], v6))
		return false;
	if (!upper_read(skb, f, upper, at + UDP_HLEN, &number, sizeof(number)))
		return upper & UPPER_FRAGMENT &&
		       source_hidden(skb, f, from, offence, 1U << ROGUE_DHCP);
	if (v6 ? dhcp6_served(number, port[1]) : number == DHCP_REPLY)
		return source_rogue(skb, f, from, offence, ROGUE_DHCP);
	if (skb->gso_size)
		return source_hidden(skb, f, from, offence, 1U << ROGUE_DHCP);
	return port[1] == bpf_htons(DHCP_CLIENT) &&
	       source_cookie(skb, f, from, offence, cookie_find(skb, f, upper));
}

/* Judges rogue-ra, and ip-spoof by a neighbour advertisement. */
static __always_inline bool source_icmp6(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct offence *offence,
					 struct address_key *key, __u32 upper)
{
	__u32 at = UPPER_OFFSET(upper);
	__u8 type;

	if (!upper_read(skb, f, upper, at, &type, sizeof(type)))
		return upper & UPPER_FRAGMENT &&
		       source_hidden(skb, f, from, offence, source_kinds(f, from));
	if (type == ND_ROUTER_ADVERT)
		return source_rogue(skb, f, from, offence, ROGUE_RA);
	if (type != ND_NEIGHBOUR_ADVERT || f->from.vlan)
		return false;
	if (!upper_read(skb, f, upper, at + ND_TARGET, key->addr, sizeof(key->addr)))
		return upper & UPPER_FRAGMENT &&
		       source_hidden(skb, f, from, offence, 1U << IP_SPOOF);
	return source_spoof(skb, f, from, offence, key);
}

/* Judges the upper layer. Reports whether to drop the frame. */
static __always_inline bool source_upper(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct offence *offence,
					 struct address_key *key)
{
	__u32 upper = frame_upper(skb, f);

	if (source_cookie(skb, f, from, offence, cookie_lax(skb, f, upper)))
		return true;
	if (!upper)
		return false;
	if (upper & UPPER_HIDDEN)
		return source_hidden(skb, f, from, offence, source_kinds(f, from));
	if (UPPER_PROTO(upper) == IPPROTO_UDP)
		return source_dhcp(skb, f, from, offence, upper);
	if (UPPER_PROTO(upper) == IPPROTO_ICMPV6 && f->proto == bpf_htons(ETH_P_IPV6))
		return source_icmp6(skb, f, from, offence, key, upper);
	return false;
}

/* Reports whether a frame's source address, in its IP header or ARP, is judged. */
static __always_inline bool source_counts(const struct frame *f, const struct party *from)
{
	if (f->from.vlan)
		return false; /* the container itself tagged the frame */
	if (f->proto == bpf_htons(ETH_P_ARP))
		return true;
	return source_ip_judged(from);
}

/*
 * Returns the kinds (bits) that a frame may be which has too many VLAN tags, is cut, or which a
 * checksum overwrites: of that the MACs too may be.
 */
static __always_inline __u32 source_tagged(struct __sk_buff *skb, const struct frame *f,
					   const struct party *from)
{
	__u32 kinds = 1U << ROGUE_DHCP | 1U << ROGUE_RA | 1U << HOST_ISOLATION;

	if (from->mode < MODE_L2 && from->mode != MODE_PASSTHRU &&
	    kernel_sum_offset(skb) < ETH_HLEN)
		kinds |= 1U << MAC_SPOOF;
	if (from->mode == MODE_PRIVATE)
		kinds |= 1U << PRIVATE_ATTEMPT;
	return f->from.vlan ? kinds : kinds | 1U << IP_SPOOF;
}

/*
 * Judges a frame that source_plain does not accept, whose sender is known. cookie
 * is that of the sender's namespace, or 0. Reports whether to drop the frame.
 */
__noinline bool source_judge(struct __sk_buff *skb, const struct frame *f,
				   const struct party *from, __u64 cookie, enum direction direction)
{
	struct address_key key = {};
	struct offence offence;
	bool drop = false;

	if (!f || !from)
		return false;
	/* In passthru the host has the same MAC, and answers for its other interfaces. */
	if (from->mode == MODE_PASSTHRU && !sent_from(skb, cookie))
		return false;
	key.ifindex = f->from.ifindex;
	key.vlan = f->from.vlan;
	offence = offence_of(skb, from, cookie, IP_SPOOF, direction);
	if (frame_hidden(f) || frame_cut(skb, f) || sum_overwrites(skb, f))
		return source_hidden(skb, f, from, &offence, source_tagged(skb, f, from));
	if (source_counts(f, from) && address_read(skb, f, SOURCE, &key))
		drop = source_spoof(skb, f, from, &offence, &key);
	return source_upper(skb, f, from, &offence, &key) || drop;
}
