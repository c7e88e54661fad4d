/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * ipvlan: endpoints share their parent's MAC and are distinguished by their
 * addresses, as in the driver (ipvlan_get_L3_hdr and ipvlan_addr_lookup in
 * drivers/net/ipvlan/ipvlan_core.c).
 *
 * Frames between siblings never reach the parent. The sibling program on the
 * sender's own interface counts them for both endpoints.
 */
#pragma once

#include "address.h"
#include "count.h"
#include "frame.h"
#include "inside.h"
#include "judge.h"
#include "layout.h"
#include "own.h"
#include "sibling.h"
#include "source.h"

/*
 * Returns the sender of a frame at the parent, or 0: the endpoint of the
 * socket's namespace, if the kernel names it and the source address is assigned
 * to another; else the endpoint of the source address, or of a probed address.
 */
static __always_inline const struct party *ipvlan_sender(struct __sk_buff *skb,
							 const struct frame *f, __u64 cookie)
{
	const struct party *given = address_party(skb, f, SOURCE), *named = 0;

	if (cookie && (!given || (given->ns && given->ns != (__u16)cookie)))
		named = sender_party(f, cookie);
	if (named)
		return named;
	return given ? given : address_probed(skb, f);
}

/* Handles egress at the parent. Reports whether to drop the frame. */
static __always_inline bool ipvlan_egress(struct __sk_buff *skb, const struct frame *f)
{
	__u64 cookie = sender_cookie(skb);
	const struct party *from = ipvlan_sender(skb, f, cookie);
	struct count n;

	if (!from)
		return false;
	if (source_judge(skb, f, from, cookie, EGRESS) ||
	    (request_possible(f) && request_judge(skb, f, from, cookie)))
		return true;
	frame_measure(skb, f, &n);
	count_frame(from->slot, TRANSMIT, EXTERNAL, frame_cast(f), &n);
	return false;
}

static __always_inline bool ipvlan_to_itself(const struct frame *f)
{
	return *(const __u64 *)&f->to == *(const __u64 *)&f->from; /* MAC and VLAN */
}

/* Judges host-isolation: the host receives the frame that is handed over, but its answer is lost. */
static __noinline bool ipvlan_isolated(struct __sk_buff *skb, const struct frame *f,
				       const struct party *from)
{
	struct offence offence = offence_of(skb, from, 0, HOST_ISOLATION, INGRESS);

	return violation_report(skb, f, from, &offence);
}

/*
 * Handles a unicast frame on ingress for the parent's MAC. Reports whether to
 * drop it. If its source is that MAC too, either the switch reflected it, or an
 * endpoint sent it to the host itself and the driver hands it over.
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

/* Judges mac-spoof of a frame whose sender is known: all interfaces on the parent have its MAC. */
__noinline int ipvlan_spoof(struct __sk_buff *skb, const struct frame *f, const struct party *from,
			    __u64 cookie, enum direction direction)
{
	const struct sk_buff___kernel *k = (const void *)skb;
	struct offence offence = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.direction = direction,
		.cookie = cookie,
	};

	if (!have_kernel_types || !f || !from)
		return false;
	if (own_mac_of(BPF_CORE_READ(k, dev)) == own_mac(f->from.mac))
		return false;
	offence.sender = from->slot;
	return violation_report(skb, f, from, &offence);
}

/*
 * Judges frames that the programs on the parent cannot: those to a sibling, and
 * those without a socket. Enforced kinds are dropped here, before siblings get
 * their copies. Reports whether to drop the frame.
 */
static __always_inline bool inside_judge(struct __sk_buff *skb, const struct frame *f,
					 const struct inside *at, __u64 cookie, bool local)
{
	struct party from;
	__u32 judged;

	if (!inside_party(at, cookie, &from))
		return false;
	judged = local ? ~0U : from.enforce;
	if (!frame_socket(skb))
		judged |= 1U << IP_SPOOF;
	from.exempt |= ~judged;
	/* In the other modes a frame to the wire loses its MACs. */
	if ((local || at->mode < MODE_L3) &&
	    ipvlan_spoof(skb, f, &from, cookie, EGRESS))
		return true;
	return source_judge(skb, f, &from, cookie, EGRESS);
}

/*
 * Reports whether the driver hands over a frame of one interface to the sibling that has its
 * destination address. In mode L2 it does so only if source and destination MAC are equal. The
 * flags private and vepa forbid it; then the interface's mode here is MODE_PRIVATE.
 */
static __always_inline bool ipvlan_hands_over(const struct frame *f, const struct inside *at)
{
	if (at->mode == MODE_L2)
		return ipvlan_to_itself(f);
	return at->mode != MODE_PRIVATE;
}

/* Handles egress at an ipvlan interface. Reports whether to drop the frame. */
static __always_inline bool ipvlan_sibling(struct __sk_buff *skb, struct frame *f,
					   const struct inside *at, __u64 cookie)
{
	const struct party *to = 0;
	struct count n;

	if (f->from.vlan)
		return false;
	if (ipvlan_hands_over(f, at))
		to = address_party(skb, f, TARGET);
	if (inside_judge(skb, f, at, cookie, to))
		return true;
	if (!to)
		return false;
	frame_measure(skb, f, &n);
	count_frame(at->slot, TRANSMIT, LOCAL, UNICAST, &n);
	count_frame(to->slot, RECEIVE, LOCAL, UNICAST, &n);
	return false;
}
