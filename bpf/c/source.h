/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * What an endpoint says of itself: ip-spoof, a source address that it was not
 * given, and what only servers say, rogue-dhcp and rogue-ra.
 *
 * Most frames are known for good by one look at the header (source_plain). The
 * rest is looked at more closely, and most of it is good too.
 */
#pragma once

#include <linux/udp.h>
#include "address.h"
#include "frame.h"
#include "judge.h"

#define DHCP_SERVER 67 /* RFC 2131, section 4.1 */
#define DHCPV6_SERVER 547 /* RFC 8415, section 7.2 */
#define ND_ROUTER_ADVERT 134 /* RFC 4861, section 4.2 */
#define ND_NEIGHBOUR_ADVERT 136 /* section 4.4 */
#define IP_OFFSET_MASK 0x1fff /* RFC 791, section 3.1 */

/* Whether the sources of its IP headers are judged. */
static __always_inline bool source_judged(const struct party *from)
{
	return !(from->exempt & 1U << IP_SPOOF) && !(from->flags & ENDPOINT_ROUTER);
}

static __always_inline bool source_plain4(const struct iphdr *ip, const void *end,
					  const struct endpoint *from)
{
	const __be16 *port = (void *)(ip + 1);

	if ((void *)port > end || (ip->saddr != from->addr4 && source_judged(&from->is)))
		return false;
	if (ip->protocol != IPPROTO_UDP)
		return true;
	return ip->ihl == 5 && (void *)(port + 1) <= end && *port != bpf_htons(DHCP_SERVER);
}

static __always_inline bool source_plain6(const struct ipv6hdr *ip6, const void *end,
					  const struct endpoint *from)
{
	const __be32 *is = ip6->saddr.in6_u.u6_addr32, *first = from->addr6;
	const __be16 *port = (void *)(ip6 + 1);

	if ((void *)port > end)
		return false;
	if (((is[0] ^ first[0]) | (is[1] ^ first[1]) | (is[2] ^ first[2]) | (is[3] ^ first[3])) &&
	    source_judged(&from->is) && !(from->is.flags & ENDPOINT_OWN_IPV6))
		return false;
	if (ip6->nexthdr == IPPROTO_TCP)
		return true;
	return ip6->nexthdr == IPPROTO_UDP && (void *)(port + 1) <= end &&
	       *port != bpf_htons(DHCPV6_SERVER);
}

/* Whether nothing in a frame of an endpoint's is worth a closer look. */
static __always_inline bool source_plain(struct __sk_buff *skb, const struct frame *f,
					 const struct endpoint *from)
{
	const void *end = (void *)(long)skb->data_end;
	const void *at = (void *)(long)skb->data + ETH_HLEN;

	if (f->from.vlan)
		return false;
	if (f->proto == bpf_htons(ETH_P_IP))
		return source_plain4(at, end, from);
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return source_plain6(at, end, from);
	return f->proto != bpf_htons(ETH_P_ARP);
}

/* An address that nobody is given: none, or link-local of IPv6 (RFC 4291). */
static __always_inline bool source_free(const struct address_key *key, bool v6)
{
	const __be32 *word = (const __be32 *)key->addr;

	if (!v6)
		return !word[3];
	return (word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000) ||
	       !(word[0] | word[1] | word[2] | word[3]);
}

/* ip-spoof, of an address that an endpoint has in its frame as its own. */
static __always_inline bool source_spoof(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct finding *found,
					 const struct address_key *key)
{
	const struct party *owner;

	if (source_free(key, f->proto == bpf_htons(ETH_P_IPV6)))
		return false;
	owner = address_given(key);
	if (owner && (owner->slot == from->slot || (owner->ns && owner->ns == from->ns)))
		return false; /* one of the namespace's own, on whichever of its interfaces */
	found->kind = IP_SPOOF;
	found->owner = owner ? owner->slot : 0;
	return breaks(skb, f, from, found);
}

static __always_inline bool source_rogue(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct finding *found,
					 enum kind kind)
{
	found->kind = kind;
	found->owner = 0;
	return breaks(skb, f, from, found);
}

static __always_inline bool source_look4(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct finding *found)
{
	__u32 at = frame_network(f);
	struct iphdr ip;
	__be16 port;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.protocol != IPPROTO_UDP ||
	    ip.frag_off & bpf_htons(IP_OFFSET_MASK) ||
	    bpf_skb_load_bytes(skb, at + ip.ihl * 4, &port, sizeof(port)))
		return false;
	return port == bpf_htons(DHCP_SERVER) && source_rogue(skb, f, from, found, ROGUE_DHCP);
}

static __always_inline bool source_look6(struct __sk_buff *skb, const struct frame *f,
					 const struct party *from, struct finding *found,
					 struct address_key *key)
{
	__u32 at = frame_network(f);
	struct ipv6hdr ip6;
	__be16 port; /* or type and code */
	__u32 upper;
	__u8 type;

	if (bpf_skb_load_bytes(skb, at, &ip6, sizeof(ip6)))
		return false;
	upper = frame_extensions(skb, at + sizeof(ip6), ip6.nexthdr);
	type = upper;
	at = upper >> 8;
	if (bpf_skb_load_bytes(skb, at, &port, sizeof(port)))
		return false;
	if (type == IPPROTO_UDP)
		return port == bpf_htons(DHCPV6_SERVER) &&
		       source_rogue(skb, f, from, found, ROGUE_DHCP);
	if (type != IPPROTO_ICMPV6)
		return false;
	type = *(__u8 *)&port;
	if (type == ND_ROUTER_ADVERT)
		return source_rogue(skb, f, from, found, ROGUE_RA);
	if (type != ND_NEIGHBOUR_ADVERT || from->flags & ENDPOINT_OWN_IPV6 || f->from.vlan ||
	    bpf_skb_load_bytes(skb, at + ND_TARGET, key->addr, sizeof(key->addr)))
		return false;
	return source_spoof(skb, f, from, found, key);
}

/* Whether the source address of a frame, in its header or ARP, is judged. */
static __always_inline bool source_counts(const struct frame *f, const struct party *from)
{
	if (f->from.vlan)
		return false; /* that the container has tagged */
	if (f->proto == bpf_htons(ETH_P_ARP))
		return true;
	if (f->proto == bpf_htons(ETH_P_IPV6) && from->flags & ENDPOINT_OWN_IPV6)
		return false;
	return source_judged(from);
}

/*
 * The closer look: judges a frame whose sender is known, by its namespace's
 * cookie maybe (else 0). Whether it is to be dropped.
 */
__noinline bool source_look(struct __sk_buff *skb, const struct frame *f,
				   const struct party *from, __u64 cookie, enum way way)
{
	struct address_key key = {};
	struct finding found;
	bool drop = false;

	if (!f || !from)
		return false;
	/* The host has the same MAC there, and answers for its other interfaces. */
	if (from->mode == MODE_PASSTHRU && !sent_from(skb, cookie))
		return false;
	key.ifindex = f->from.ifindex;
	key.vlan = f->from.vlan;
	found = finding_of(skb, from, cookie, IP_SPOOF, way);
	if (source_counts(f, from) && address_read(skb, f, SOURCE, &key))
		drop = source_spoof(skb, f, from, &found, &key);
	if (f->proto == bpf_htons(ETH_P_IP))
		return source_look4(skb, f, from, &found) || drop;
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return source_look6(skb, f, from, &found, &key) || drop;
	return drop;
}
