/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The guard of ipvlan interfaces. A container can send past its sibling program
 * (PACKET_QDISC_BYPASS, AF_XDP), and the driver then hands the frame to a sibling, or gives
 * siblings copies of a group frame, before any program has seen it (ipvlan_xmit_mode_l2,
 * ipvlan_xmit_mode_l3 and ipvlan_process_multicast in drivers/net/ipvlan/ipvlan_core.c).
 *
 * So the programs mark each frame that they pass, with a secret number in skb->cb: the sibling
 * program the frames of its interface, the parent's ingress those from the wire, the shim
 * program the host's. The driver, dev_forward_skb, netif_rx and skb_clone keep these bytes. A
 * new frame of a socket has zeros there. The guard program, on the ingress of each container's
 * interface, passes marked frames. It judges the others by the namespace of their socket,
 * which names the sender on every kernel.
 *
 * Copies of group frames have no socket: unmarked ones are dropped if a network on the parent
 * enforces rules. All other frames sent past the sibling program have one, as the kernel
 * splits no super-packet there (__dev_direct_xmit in net/core/dev.c).
 */
#pragma once

#include "copies.h"
#include "count.h"
#include "frame.h"
#include "ipvlan.h"
#include "judge.h"
#include "layout.h"
#include "source.h"

static __always_inline __u64 guard_number(const struct drops *d)
{
	return d->keys[0] ^ d->keys[1] ^ d->keys[2];
}

/*
 * Marks a frame that a program passes. The mark is at the end of the bytes that the programs
 * may use, because queueing disciplines keep their own data at the beginning.
 */
__noinline int guard_mark(struct __sk_buff *skb)
{
	const struct drops *d = drops_now();
	__u64 number;

	if (!d)
		return 0;
	number = guard_number(d);
	skb->cb[3] = number;
	skb->cb[4] = number >> 32;
	return 0;
}

/* Reports whether a program has marked the frame. Every frame counts as marked until an agent has set the number. */
static __always_inline bool guard_marked(struct __sk_buff *skb)
{
	const struct drops *d = drops_now();

	return !d || guard_number(d) == (skb->cb[3] | (__u64)skb->cb[4] << 32);
}

/* Reports whether an unmarked frame without a socket must be dropped on a parent. */
static __always_inline bool guard_closed(__u32 ifindex)
{
	const struct parent *p = bpf_map_lookup_elem(&parents, &ifindex);

	return p && (p->flags & (PARENT_ENFORCES | PARENT_UNMARKED)) == PARENT_ENFORCES &&
	       (p->mac[0] | p->mac[1] | p->mac[2] | p->mac[3] | p->mac[4] | p->mac[5]);
}

/*
 * Judges an unmarked frame without a socket: a sibling has sent it past its program; or it is
 * from the wire, and the parent has no program; or from an ipvlan interface that berth did not
 * create. The last is accepted by its source address. Reports whether to drop the frame.
 */
static __always_inline bool guard_judge_lost(struct __sk_buff *skb, const struct frame *f,
					     const struct inside *at)
{
	const struct party *given;

	if (!guard_closed(at->parent))
		return false;
	given = address_party(skb, f, SOURCE);
	return !given || !(given->flags & ENDPOINT_OBSERVED);
}

/*
 * Judges an unmarked frame. If its sender is an endpoint that berth created, the frame counts
 * for both, as the sibling program would have counted it. Reports whether to drop the frame.
 */
static __always_inline bool guard_judge(struct __sk_buff *skb, const struct frame *f,
					const struct inside *at)
{
	const struct party *sender;
	struct party from;
	struct count n;
	__u64 cookie;

	if (frame_cast(f) == UNICAST && !ipvlan_hands_over(f, at))
		return false; /* from the wire */
	cookie = sender_cookie(skb);
	if (!cookie)
		return guard_judge_lost(skb, f, at);
	sender = sender_party(f, cookie);
	if (!sender || sender->flags & ENDPOINT_OBSERVED)
		return false;
	from = *sender;
	from.flags |= ENDPOINT_BY_COOKIE;
	if (ipvlan_spoof(skb, f, &from, cookie, INGRESS) ||
	    source_judge(skb, f, &from, cookie, INGRESS))
		return true;
	frame_measure(skb, f, &n);
	count_frame(from.slot, TRANSMIT, LOCAL, UNICAST, &n);
	count_frame(at->slot, RECEIVE, LOCAL, UNICAST, &n);
	return false;
}
