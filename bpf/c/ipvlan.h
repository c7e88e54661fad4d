/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * ipvlan: endpoints that share their parent's MAC and are told apart by their
 * addresses, as the driver does (ipvlan_get_L3_hdr and ipvlan_addr_lookup in
 * drivers/net/ipvlan/ipvlan_core.c).
 *
 * What one sends another of the same parent never comes to the parent: the
 * program on the sender's own interface counts it for both.
 */
#pragma once

#include "address.h"
#include "count.h"
#include "frame.h"
#include "judge.h"
#include "kernel.h"
#include "layout.h"
#include "sibling.h"
#include "source.h"

/*
 * Finds the sender of a frame at the parent: by the namespace, if the kernel
 * names it and it is not that to which the source address was given; else by
 * the address, which may be one that it asks for.
 */
static __always_inline const struct party *ipvlan_sender(struct __sk_buff *skb,
							 const struct frame *f, __u64 cookie)
{
	const struct party *given = address_party(skb, f, SOURCE), *named = 0;

	if (cookie && (!given || (given->ns && given->ns != (__u16)cookie)))
		named = sender_party(f, cookie);
	if (named)
		return named;
	return given ? given : address_claimed(skb, f);
}

/* Egress at the parent. Whether the frame is to be dropped. */
static __always_inline bool ipvlan_egress(struct __sk_buff *skb, const struct frame *f)
{
	__u64 cookie = sender_cookie(skb);
	const struct party *from = ipvlan_sender(skb, f, cookie);
	struct count n;

	if (!from)
		return false;
	if (source_look(skb, f, from, cookie, EGRESS) ||
	    (asks(f) && asked_look(skb, f, from, cookie)))
		return true;
	frame_measure(skb, f, &n);
	count_frame(from->slot, TRANSMIT, EXTERNAL, frame_cast(f), &n);
	return false;
}

static __always_inline bool ipvlan_to_itself(const struct frame *f)
{
	return *(const __u64 *)&f->to == *(const __u64 *)&f->from; /* MAC and VLAN */
}

/* host-isolation: the host gets what is handed over, but its answer is lost. */
static __noinline bool ipvlan_isolated(struct __sk_buff *skb, const struct frame *f,
				       const struct party *from)
{
	struct finding found = finding_of(skb, from, 0, HOST_ISOLATION, INGRESS);

	return breaks(skb, f, from, &found);
}

/*
 * Ingress at the parent, unicast for its MAC. One that has that MAC as its
 * source too was reflected by the switch, or is one endpoint's to the host
 * itself, which the driver hands over.
 */
static __always_inline bool ipvlan_ingress(struct __sk_buff *skb, const struct frame *f)
{
	const struct party *to = address_party(skb, f, TARGET);
	const struct party *from = ipvlan_to_itself(f) ? address_party(skb, f, SOURCE) : 0;
	struct count n;

	if (!to && (!from || !frame_socket(skb)))
		return false;
	if (!to && ipvlan_isolated(skb, f, from))
		return true;
	frame_measure(skb, f, &n);
	if (to)
		count_frame(to->slot, RECEIVE, from ? LOCAL : EXTERNAL, UNICAST, &n);
	else
		count_frame(from->slot, TRANSMIT, LOCAL, UNICAST, &n);
	return false;
}

/*
 * The cookie of the namespace that the interface is in. There is a helper for
 * that of a socket, in newer kernels, but ARP has none.
 */
static __always_inline __u64 interface_cookie(struct __sk_buff *skb)
{
	struct net_device___kernel *dev = 0;
	struct net___kernel *net = 0;
	__u64 cookie = 0;

	bpf_core_read(&dev, sizeof(dev), &((struct sk_buff___kernel *)skb)->dev);
	bpf_core_read(&net, sizeof(net), &dev->nd_net.net);
	bpf_core_read(&cookie, sizeof(cookie), &net->net_cookie);
	return cookie;
}

/* Finds what the network says of the endpoint whose interface this is; false if it is unknown. */
static __always_inline bool inside_party(const struct inside *at, __u64 cookie, struct party *from)
{
	struct namespace_key key = { .cookie = cookie, .ifindex = at->parent };
	const struct party *known = bpf_map_lookup_elem(&namespaces, &key);

	if (!known)
		return false;
	*from = *known;
	from->slot = at->slot; /* the namespace may have two */
	return true;
}

/*
 * Judges what the parent cannot: what goes to a sibling past it, and whose a
 * frame without a socket is. What the network drops is dropped here, before
 * siblings have their copies. Whether the frame is to be dropped.
 */
static __always_inline bool inside_judge(struct __sk_buff *skb, const struct frame *f,
					 const struct inside *at, __u64 cookie, bool local)
{
	struct party from;
	__u32 judged;

	if (!inside_party(at, cookie, &from))
		return false;
	judged = local ? ~0U : from.enforce;
	if (!sender_cookie(skb))
		judged |= 1U << IP_SPOOF;
	from.exempt |= ~judged;
	return source_look(skb, f, &from, cookie, EGRESS);
}

/* Egress at the interface itself. Whether the frame is to be dropped. */
static __always_inline bool ipvlan_sibling(struct __sk_buff *skb)
{
	struct inside_key key = { .cookie = interface_cookie(skb), .ifindex = skb->ifindex };
	const struct inside *at = bpf_map_lookup_elem(&insides, &key);
	const struct party *to = 0;
	struct frame f;
	struct count n;

	if (!at || !frame_parse(skb, &f) || f.from.vlan)
		return false;
	f.from.ifindex = at->parent;
	/* In mode L2 the driver looks at the address only then. */
	if (at->mode != MODE_L2 || ipvlan_to_itself(&f))
		to = address_party(skb, &f, TARGET);
	if (inside_judge(skb, &f, at, key.cookie, to))
		return true;
	if (!to)
		return false;
	frame_measure(skb, &f, &n);
	count_frame(at->slot, TRANSMIT, LOCAL, UNICAST, &n);
	count_frame(to->slot, RECEIVE, LOCAL, UNICAST, &n);
	return false;
}
