/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Frames on a trunk that belong to a VLAN with a sub-interface of its own. Most
 * pass the sub-interface too, and are counted and judged there. A container on
 * the trunk itself may tag its own frames with that VLAN: those pass the trunk
 * alone.
 */
#pragma once

#include "count.h"
#include "endpoint.h"
#include "frame.h"
#include "judge.h"
#include "layout.h"
#include "source.h"
#include "spoof.h"

/* Returns the index of the sub-interface of a frame's VLAN, or 0 if it has none. */
static __always_inline __u32 vlan_device(const struct frame *f)
{
	const __u32 *device;
	struct vlan_key key;

	if (!f->from.vlan)
		return 0;
	key.ifindex = f->from.ifindex;
	key.vlan = f->from.vlan;
	device = bpf_map_lookup_elem(&vlans, &key);
	return device ? *device : 0;
}

/* Reports whether a frame has the source MAC that a namespace's endpoint has on the trunk. */
static __always_inline bool vlan_trunk_own(const struct frame *f, __u64 cookie)
{
	const struct endpoint *e = endpoint_lookup(&f->from);

	return e && e->cookie == cookie;
}

/*
 * Reports whether a frame on a trunk's egress came from the sub-interface of its
 * VLAN: an endpoint there has its source MAC, or its sender has an endpoint there.
 * A tag in the data is the container's own, because the sub-interface leaves it to the
 * trunk to write the tag (vlan_dev_hard_start_xmit in net/8021q/vlan_dev.c). Frames of the host
 * belong to no endpoint, whichever way they came.
 */
__noinline bool vlan_passed(struct __sk_buff *skb, const struct frame *f, __u32 device)
{
	struct namespace_key sender = { .ifindex = device };
	const struct endpoint *e;
	struct endpoint_key key;

	if (!f || !skb->vlan_present)
		return !f;
	key = f->from;
	key.vlan = 0;
	key.ifindex = device;
	sender.cookie = sender_cookie(skb);
	e = endpoint_lookup(&key);
	if (e && (!sender.cookie || sender.cookie == e->cookie))
		return true;
	return sender.cookie && bpf_map_lookup_elem(&namespaces, &sender) &&
	       !vlan_trunk_own(f, sender.cookie);
}

/*
 * Handles a frame on a trunk's ingress that its VLAN's sub-interface receives.
 * It is counted there, unless the driver hands it over from one endpoint of the
 * trunk to another: that one does not receive it. Reports whether to drop it.
 */
__noinline bool vlan_ingress(struct __sk_buff *skb, const struct frame *f)
{
	const struct endpoint *from, *to;
	enum spoof spoof;
	struct count n;

	if (!f || frame_cast(f) != UNICAST)
		return false;
	to = endpoint_lookup(&f->to);
	if (!to || to->is.mode != MODE_BRIDGE)
		return false;
	from = endpoint_lookup(&f->from);
	if (!from)
		return frame_socket(skb) && spoof_unowned(skb, f, INGRESS);
	spoof = spoof_owned(skb, f, from, INGRESS);
	if (spoof != SPOOF_NONE || from->is.mode != MODE_BRIDGE)
		return spoof == SPOOF_DROPPED;
	if (source_judge(skb, f, &from->is, from->cookie, INGRESS))
		return true;
	frame_measure(skb, f, &n);
	count_frame(from->is.slot, TRANSMIT, LOCAL, UNICAST, &n);
	return false;
}
