/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The good path, for most frames: unicast IP without a tag, from and to MACs in the
 * table of MACs, if one look at the header shows that nothing is to be judged. It
 * reads the frame once and keeps everything in registers. For any other frame it
 * returns false and changes nothing. Its verdicts and counts equal those of the
 * functions for any frame.
 */
#pragma once

#include "count.h"
#include "frame.h"
#include "judge.h"
#include "layout.h"
#include "source.h"
#include "table.h"
#include "unknown.h"

/* False for tests that compare the good path with the functions for any frame. */
volatile const bool have_quick = true;

struct quick {
	const void *network; /* the network header, at least of IPv4 */
	const void *end;
	__u64 to, from; /* MACs, as in the words of keys without a VLAN */
	__u32 ifindex;
	__be16 proto;
};

/* Returns a MAC as a word. It loads 8 bytes: the caller has checked that 2 follow the MAC. */
static __always_inline __u64 quick_word(const void *mac)
{
	return word_untagged(*(const __u64 *)mac);
}

/* Reads a frame. Returns false if the good path does not handle it. */
static __always_inline bool quick_read(struct __sk_buff *skb, struct quick *q)
{
	const __u8 *eth = (void *)(long)skb->data;

	q->end = (void *)(long)skb->data_end;
	q->network = eth + ETH_HLEN;
	if (q->network + sizeof(struct iphdr) > q->end || eth[0] & 1 || skb->vlan_present)
		return false;
	q->proto = *(const __be16 *)(eth + 2 * ETH_ALEN);
	q->to = quick_word(eth);
	q->from = quick_word(eth + ETH_ALEN);
	q->ifindex = skb->ifindex;
	return q->proto == bpf_htons(ETH_P_IP) || q->proto == bpf_htons(ETH_P_IPV6);
}

/*
 * Reports whether nothing contradicts the source MAC of a frame: its socket is in the MAC's
 * namespace, or the kernel does not name the socket's namespace.
 */
static __always_inline bool quick_owned(struct __sk_buff *skb, const struct endpoint *from)
{
	if (have_netns_cookie)
		return bpf_get_netns_cookie(skb) == from->cookie;
	return !have_kernel_types || !frame_socket(skb) || sender_cookie(skb) == from->cookie;
}

/* Reports whether source_judge need not examine an endpoint's frame. */
static __always_inline bool quick_plain(struct __sk_buff *skb, const struct quick *q,
					const struct endpoint *from)
{
	if (q->proto == bpf_htons(ETH_P_IP))
		return source_plain4(q->network, q->end, from) && sum_plain(skb, SUM_UPPER4);
	return source_plain6(q->network, q->end, from) && sum_plain(skb, SUM_UPPER6);
}

/* Finds the size of a frame on the wire. Returns false for a super-packet. */
static __always_inline bool quick_measure(struct __sk_buff *skb, const struct quick *q,
					  struct count *n)
{
	const __u16 *head = q->network;
	__u32 length = skb->len, real;

	if (skb->gso_size)
		return false;
	if (length <= ETH_ZLEN) { /* padding, perhaps */
		real = q->proto == bpf_htons(ETH_P_IP) ?
			       ETH_HLEN + bpf_ntohs(head[1]) :
			       ETH_HLEN + sizeof(struct ipv6hdr) + bpf_ntohs(head[2]);
		if (real < length)
			length = real;
	}
	n->packets = 1;
	n->bytes = length;
	return true;
}

/* Handles a frame that the driver hands over from one endpoint in bridge mode to another. */
static __always_inline bool quick_sibling(struct __sk_buff *skb, const struct quick *q,
					  const struct endpoint *from, const struct endpoint *to)
{
	struct count n;

	if (from->is.mode != MODE_BRIDGE || to->is.mode != MODE_BRIDGE ||
	    !quick_plain(skb, q, from) || !quick_measure(skb, q, &n) || !quick_owned(skb, from))
		return false;
	count_frame(to->is.slot, RECEIVE, LOCAL, UNICAST, &n);
	count_frame(from->is.slot, TRANSMIT, LOCAL, UNICAST, &n);
	return true;
}

/* Reports whether a frame of a stranger may claim an address, as claim_possible does. */
static __always_inline bool quick_claims(const struct quick *q)
{
	const struct ipv6hdr *ip6 = q->network;

	if (q->proto == bpf_htons(ETH_P_IP))
		return false;
	return (void *)(ip6 + 1) > q->end ||
	       (ip6->nexthdr != IPPROTO_TCP && ip6->nexthdr != IPPROTO_UDP);
}

/* Handles a frame from the wire to an endpoint or to the host. */
static __always_inline bool quick_receive(struct __sk_buff *skb, const struct quick *q,
					  const struct endpoint *to)
{
	struct count n;

	if (!unknown_noted(q->from, INGRESS) || quick_claims(q))
		return false;
	if (to->is.flags & ENDPOINT_PARENT)
		return !(to->is.flags & ENDPOINT_IPVLAN);
	if (to->is.mode == MODE_SOURCE || frame_socket(skb) || !quick_measure(skb, q, &n))
		return false;
	count_frame(to->is.slot, RECEIVE, EXTERNAL, UNICAST, &n);
	return true;
}

/* Handles a frame on ingress. Returns false if the good path does not handle it. */
static __always_inline bool quick_ingress(struct __sk_buff *skb)
{
	const struct endpoint *from, *to;
	struct quick q;

	if (!have_quick || !quick_read(skb, &q))
		return false;
	to = table_search(q.to, q.ifindex);
	if (!to)
		return false;
	from = table_search(q.from, q.ifindex);
	return from ? quick_sibling(skb, &q, from, to) : quick_receive(skb, &q, to);
}

/* Handles a frame on egress. Returns false if the good path does not handle it. */
static __always_inline bool quick_egress(struct __sk_buff *skb)
{
	const struct endpoint *from;
	struct quick q;
	struct count n;

	if (!have_quick || !quick_read(skb, &q))
		return false;
	from = table_search(q.from, q.ifindex);
	if (!from || from->is.flags & ENDPOINT_IPVLAN)
		return false;
	if (from->is.flags & ENDPOINT_PARENT)
		return quick_owned(skb, from);
	if (!quick_plain(skb, &q, from) || table_search(q.to, q.ifindex) ||
	    !quick_measure(skb, &q, &n) || !quick_owned(skb, from))
		return false;
	count_frame(from->is.slot, TRANSMIT, EXTERNAL, UNICAST, &n);
	return true;
}
