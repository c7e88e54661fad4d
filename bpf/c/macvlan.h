/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * macvlan in mode bridge: the driver gives siblings their copies of a group frame
 * before the frame reaches the parent's egress (macvlan_queue_xmit in
 * drivers/net/macvlan.c). So the sibling program drops group frames that break an
 * enforced rule, on the sender's own interface. So it does unicast frames with another
 * MAC than the endpoint's: a bridge in the container may pass on frames of a namespace that
 * the parent's program does not know. All other frames are left to the parent, which
 * counts and judges them.
 */
#pragma once

#include "endpoint.h"
#include "frame.h"
#include "inside.h"
#include "judge.h"
#include "layout.h"
#include "own.h"
#include "sibling.h"
#include "source.h"
#include "spoof.h"

/* Copies the party of the endpoint whose interface this is. Returns false if it is not registered. */
static __noinline bool macvlan_party(struct __sk_buff *skb, const struct inside *at,
					  __u64 cookie, struct party *from)
{
	const struct sk_buff___kernel *k = (const void *)skb;
	struct endpoint_key key = { .ifindex = at->parent };
	const unsigned char *mac = BPF_CORE_READ(k, dev, dev_addr);
	const struct endpoint *e;

	bpf_probe_read_kernel(key.mac, sizeof(key.mac), mac);
	e = endpoint_lookup(&key);
	if (!e || e->is.slot != at->slot) /* its MAC was changed */
		return inside_party(at, cookie, from);
	*from = e->is;
	return true;
}

/*
 * Reports whether another interface of the namespace has the source MAC of a
 * frame. If that is one on the parent, the MAC is the container's own, and the
 * parent's program can find out.
 */
__noinline int macvlan_other(struct __sk_buff *skb, const struct frame *f)
{
	const struct sk_buff___kernel *k = (const void *)skb;
	const struct net_device___kernel *own, *dev;
	const struct list_head___kernel *at, *head;
	const struct net___kernel *net;
	__u64 mac;

	if (!have_kernel_types || !f)
		return false;
	mac = own_mac(f->from.mac);
	own = BPF_CORE_READ(k, dev);
	net = BPF_CORE_READ(own, nd_net.net);
	head = __builtin_preserve_access_index(&net->dev_base_head);
	at = BPF_CORE_READ(head, next);
	for (int i = 0; i < DEVICES_MAX && at != head; i++) {
		dev = (const void *)at - bpf_core_field_offset(struct net_device___kernel, dev_list);
		if (dev != own && own_mac_of(dev) == mac)
			return true;
		at = BPF_CORE_READ(at, next);
	}
	return false;
}

/* Judges mac-spoof of a frame. A function of its own, as the stack of all calls is bounded. */
__noinline int macvlan_spoof(struct __sk_buff *skb, const struct frame *f, const struct party *from,
			     __u64 cookie)
{
	const struct endpoint *owner;
	struct offence offence = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.direction = EGRESS,
		.cookie = cookie,
	};

	if (!f || !from)
		return SPOOF_NONE;
	offence.sender = from->slot;
	owner = endpoint_lookup(&f->from);
	if (owner ? owner->is.slot == from->slot || owner->cookie == cookie : macvlan_other(skb, f))
		return SPOOF_NONE;
	if (owner)
		offence.owner = owner->is.slot;
	return violation_report(skb, f, from, &offence) ? SPOOF_DROPPED : SPOOF_FLAGGED;
}

/*
 * Judges a frame as the parent's egress does. Reports whether to drop it. With a forged
 * MAC it is judged for the enforced kinds alone (spoof_hides).
 */
static __always_inline bool macvlan_judge(struct __sk_buff *skb, const struct frame *f,
					  struct party *from, __u64 cookie)
{
	enum spoof spoof = macvlan_spoof(skb, f, from, cookie);

	if (spoof == SPOOF_DROPPED)
		return true;
	if (spoof == SPOOF_FLAGGED) {
		from->exempt |= ~from->enforce;
		from->flags |= ENDPOINT_BY_COOKIE;
	}
	return source_judge(skb, f, from, cookie, EGRESS) ||
	       (request_possible(f) && request_judge(skb, f, from, cookie));
}

/* Reports whether a frame is left to the parent: unicast with the MAC of the endpoint. */
static __always_inline bool macvlan_plain(const struct frame *f, const struct inside *at)
{
	const struct endpoint *e = frame_cast(f) == UNICAST ? endpoint_lookup(&f->from) : 0;

	return e && e->is.slot == at->slot;
}

/*
 * Handles egress at a macvlan interface in mode bridge. Reports whether to drop
 * the frame. A dropped frame never reaches the parent, so it is counted here for
 * the kinds that are not enforced, too.
 */
__noinline bool macvlan_sibling(struct __sk_buff *skb, const struct frame *f,
				const struct inside *at, __u64 cookie)
{
	struct party from = {};
	__u32 exempt;

	if (!f || !at || macvlan_plain(f, at) || !macvlan_party(skb, at, cookie, &from))
		return false;
	exempt = from.exempt;
	from.exempt = exempt | ~from.enforce;
	if (!macvlan_judge(skb, f, &from, cookie))
		return false;
	from.exempt = exempt | from.enforce;
	macvlan_judge(skb, f, &from, cookie);
	return true;
}
