// SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0)
/*
 * The two programs on a parent; the sibling program, the receiver program and the guard
 * program on a container's interface; the shim program on the host's. The first three and
 * the guard program look up a frame's addresses, count the frame for the endpoints, judge it,
 * and either drop it, if the network enforces the kind of violation, or pass it to the next
 * program.
 *
 * Frames that leave for the wire pass a parent's egress. Two sorts of frames pass
 * its ingress: those from the wire, and those from one endpoint in bridge mode
 * to another, which the driver sends through the parent's receive path
 * (macvlan_queue_xmit in drivers/net/macvlan.c). The latter are called "handed
 * over" in these files.
 */
#include <linux/pkt_cls.h>
#include "claim.h"
#include "copies.h"
#include "count.h"
#include "endpoint.h"
#include "frame.h"
#include "group.h"
#include "guard.h"
#include "inside.h"
#include "ipvlan.h"
#include "judge.h"
#include "layout.h"
#include "macvlan.h"
#include "own.h"
#include "quick.h"
#include "sibling.h"
#include "source.h"
#include "spoof.h"
#include "vlan.h"

#define NEXT TC_ACT_UNSPEC /* also TCX_NEXT */
#define DROP TC_ACT_SHOT /* also TCX_DROP */

/* Returns the slot of the passthru endpoint that owns the parent, or 0. */
static __always_inline __u32 passthru_slot(const struct frame *f)
{
	__u32 ifindex = f->from.ifindex;
	const struct parent *p = bpf_map_lookup_elem(&parents, &ifindex);

	return p ? p->slot : 0;
}

/*
 * Handles a frame on egress whose source MAC belongs to no endpoint. device is
 * the sub-interface of its VLAN, which notes unknown sources itself, or 0.
 */
static __always_inline int egress_unknown(struct __sk_buff *skb, const struct frame *f, __u32 device)
{
	__u32 slot = device ? 0 : passthru_slot(f);
	struct count n;

	if (!slot) {
		if (!device)
			unknown_note(f, EGRESS);
		return spoof_unowned(skb, f, EGRESS) ? DROP : NEXT;
	}
	frame_measure(skb, f, &n);
	count_frame(slot, TRANSMIT, EXTERNAL, frame_cast(f), &n);
	return NEXT;
}

/*
 * Judges an endpoint's own frame. Reports whether to drop it. A request that is sent
 * to the MAC of a sibling or the host counts as a frame to that MAC alone.
 */
static __always_inline bool egress_judge(struct __sk_buff *skb, const struct frame *f,
					 const struct endpoint *from)
{
	bool group = frame_cast(f) != UNICAST, plain = source_plain(skb, f, from);
	const struct endpoint *to = group ? 0 : local_endpoint(f);

	if (!plain && source_judge(skb, f, &from->is, from->cookie, EGRESS))
		return true;
	if (!to && (plain ? group && frame_for_one(skb, f) : request_possible(f)) &&
	    request_judge(skb, f, &from->is, from->cookie))
		return true;
	if (group)
		group_sent(skb, f);
	return to && local_judge(skb, f, &from->is, from->cookie, to);
}

/* Handles a frame on egress that the good path does not handle. */
static __always_inline int egress_any(struct __sk_buff *skb, const struct frame *f)
{
	__u32 device = vlan_device(f);
	const struct endpoint *from;
	enum spoof spoof;
	struct count n;

	if (device && vlan_passed(skb, f, device))
		return NEXT;
	from = endpoint_lookup(&f->from);
	if (!from)
		return egress_unknown(skb, f, device);
	if (from->is.flags & ENDPOINT_IPVLAN)
		return ipvlan_egress(skb, f) ? DROP : NEXT;
	spoof = spoof_owned(skb, f, from, EGRESS);
	if (spoof != SPOOF_NONE || from->is.flags & ENDPOINT_PARENT)
		return spoof == SPOOF_DROPPED ? DROP : NEXT;
	if (egress_judge(skb, f, from))
		return DROP;
	frame_measure(skb, f, &n);
	count_frame(from->is.slot, TRANSMIT, EXTERNAL, frame_cast(f), &n);
	return NEXT;
}

SEC("tc")
int berth_egress(struct __sk_buff *skb)
{
	struct frame f;
	int verdict;

	if (quick_egress(skb))
		return NEXT;
	if (!frame_settle(skb))
		return DROP;
	if (!frame_parse(skb, &f))
		return NEXT;
	verdict = egress_any(skb, &f);
	if (frame_cast(&f) != UNICAST)
		copies_update(skb, verdict == DROP);
	return verdict;
}

/*
 * Handles a frame on ingress whose destination belongs to no endpoint. If the
 * driver handed it over, its destination is a macvlan that berth did not create.
 * Any other frame with an endpoint's source was reflected by the switch, and was
 * counted when it left.
 */
static __always_inline int ingress_unknown(struct __sk_buff *skb, const struct frame *f,
					   const struct endpoint *from)
{
	struct count n;
	__u32 slot;

	if (from && from->is.mode == MODE_BRIDGE) {
		if (!sent_from(skb, from->cookie)) /* from the wire */
			return NEXT;
		if (!source_plain(skb, f, from) &&
		    source_judge(skb, f, &from->is, from->cookie, INGRESS))
			return DROP;
		frame_measure(skb, f, &n);
		count_frame(from->is.slot, TRANSMIT, LOCAL, UNICAST, &n);
		return NEXT;
	}
	slot = passthru_slot(f);
	if (!slot)
		return NEXT;
	frame_measure(skb, f, &n);
	count_frame(slot, RECEIVE, EXTERNAL, UNICAST, &n);
	return NEXT;
}

/* Reports whether the driver delivers a frame to the endpoint: in mode source, if the source MAC is listed. */
static __always_inline bool ingress_listed(const struct endpoint *to, const struct frame *f)
{
	struct source_key key = { .slot = to->is.slot };

	if (to->is.mode != MODE_SOURCE)
		return true;
	__builtin_memcpy(key.mac, f->from.mac, sizeof(key.mac));
	return bpf_map_lookup_elem(&sources, &key);
}

/*
 * Judges mac-spoof in frames that the driver hands over, which never pass
 * egress. Frames from the wire have no socket.
 */
static __always_inline enum spoof ingress_spoof(struct __sk_buff *skb, const struct frame *f,
						const struct endpoint *from)
{
	if (from)
		return from->is.mode == MODE_BRIDGE || from->is.flags & ENDPOINT_PARENT ?
			       spoof_owned(skb, f, from, INGRESS) :
			       SPOOF_NONE;
	return frame_socket(skb) && spoof_unowned(skb, f, INGRESS) ? SPOOF_DROPPED : SPOOF_NONE;
}

/* Counts source-denied: the driver does not deliver the frame. */
__noinline int ingress_denied(struct __sk_buff *skb, const struct frame *f, __u32 sender,
			      const struct endpoint *to)
{
	struct offence offence = {
		.kind = SOURCE_DENIED,
		.certainty = CERTAIN,
		.evidence = SOURCE_MAC,
		.direction = INGRESS,
		.sender = sender,
	};

	if (!f || !to)
		return 0;
	offence.receiver = to->is.slot;
	violation_report(skb, f, &to->is, &offence);
	return 0;
}

/* Handles a frame that the driver hands over from one endpoint to another. */
static __always_inline int ingress_sibling(struct __sk_buff *skb, const struct frame *f,
					   const struct endpoint *from, const struct endpoint *to)
{
	enum spoof spoof = spoof_owned(skb, f, from, INGRESS);
	struct count n;

	if (spoof == SPOOF_DROPPED)
		return DROP;
	if (spoof == SPOOF_NONE && !source_plain(skb, f, from) &&
	    source_judge(skb, f, &from->is, from->cookie, INGRESS))
		return DROP;
	frame_measure(skb, f, &n);
	count_frame(to->is.slot, RECEIVE, LOCAL, UNICAST, &n);
	if (spoof == SPOOF_NONE)
		count_frame(from->is.slot, TRANSMIT, LOCAL, UNICAST, &n);
	return NEXT;
}

/* Handles any other frame on ingress for an endpoint. */
static __always_inline int ingress_endpoint(struct __sk_buff *skb, const struct frame *f,
					    const struct endpoint *from, const struct endpoint *to)
{
	bool sibling = from && !(from->is.flags & ENDPOINT_PARENT);
	struct count n;

	if (!ingress_listed(to, f)) {
		ingress_denied(skb, f, sibling ? from->is.slot : 0, to);
		return NEXT;
	}
	if (sibling && wire_judge(skb, f, from, to))
		return DROP;
	frame_measure(skb, f, &n);
	count_frame(to->is.slot, RECEIVE, sibling ? LOCAL : EXTERNAL, UNICAST, &n);
	return NEXT;
}

/* Handles a frame on ingress that the good path does not handle. */
static __always_inline int ingress_any(struct __sk_buff *skb, const struct frame *f)
{
	const struct endpoint *to, *from;

	if (vlan_device(f))
		return vlan_ingress(skb, f) ? DROP : NEXT;
	from = endpoint_source(f);
	if (from && from->is.mode == MODE_VEPA)
		vepa_back(from);
	if (!from && claim_possible(skb, f))
		claim_judge(skb, f);
	/* A program on the parent cannot see which endpoints receive a group frame. */
	if (frame_cast(f) != UNICAST) {
		copies_update(skb, false);
		if (from && !(from->is.flags & ENDPOINT_PARENT))
			group_judge(skb, f, from);
		return NEXT;
	}
	to = endpoint_lookup(&f->to);
	if (from && to && from->is.mode == MODE_BRIDGE && to->is.mode == MODE_BRIDGE)
		return ingress_sibling(skb, f, from, to);
	if (to && to->is.flags & ENDPOINT_PARENT) {
		if (to->is.flags & ENDPOINT_IPVLAN)
			return ipvlan_ingress(skb, f) ? DROP : NEXT;
		if (from && !(from->is.flags & ENDPOINT_PARENT))
			wire_judge(skb, f, from, to);
		return NEXT;
	}
	if (ingress_spoof(skb, f, from) == SPOOF_DROPPED)
		return DROP;
	if (!to)
		return ingress_unknown(skb, f, from);
	return ingress_endpoint(skb, f, from, to);
}

SEC("tc")
int berth_ingress(struct __sk_buff *skb)
{
	struct frame f;

	if (quick_ingress(skb))
		return NEXT;
	/* The rest is from the wire: no container can write to it. */
	if ((frame_socket(skb) || frame_grouped(skb)) && !frame_settle(skb))
		return DROP;
	if (!frame_parse(skb, &f) || (f.proto != bpf_htons(ETH_P_ARP) && frame_cut(skb, &f)))
		return NEXT;
	if (ingress_any(skb, &f) == DROP)
		return DROP;
	if (!ipvlan_to_itself(&f))
		guard_mark(skb);
	return NEXT;
}

SEC("tc")
int berth_sibling(struct __sk_buff *skb)
{
	struct inside_key key = { .cookie = interface_cookie(skb), .ifindex = skb->ifindex };
	const struct inside *at = bpf_map_lookup_elem(&insides, &key);
	struct frame f;

	if (!at)
		return NEXT;
	if (!frame_settle(skb))
		return DROP;
	if (!frame_parse(skb, &f))
		return NEXT;
	f.from.ifindex = at->parent;
	f.to.ifindex = at->parent;
	if (at->mode == MODE_BRIDGE)
		return macvlan_sibling(skb, &f, at, key.cookie) ? DROP : NEXT;
	if (ipvlan_sibling(skb, &f, at, key.cookie))
		return DROP;
	guard_mark(skb);
	return NEXT;
}

/* On the egress of the host's own ipvlan interface: marks its frames for the guard programs. */
SEC("tc")
int berth_shim(struct __sk_buff *skb)
{
	guard_mark(skb);
	return NEXT;
}

/*
 * On the ingress of a container's ipvlan interface: judges frames of siblings that have
 * passed no other program.
 */
SEC("tc")
int berth_guard(struct __sk_buff *skb)
{
	struct inside_key key = {};
	const struct inside *at;
	struct frame f;

	if (guard_marked(skb))
		return NEXT;
	key.cookie = interface_cookie(skb);
	key.ifindex = skb->ifindex;
	at = bpf_map_lookup_elem(&insides, &key);
	if (!at || !frame_parse(skb, &f))
		return NEXT;
	f.from.ifindex = at->parent;
	f.to.ifindex = at->parent;
	return guard_judge(skb, &f, at) ? DROP : NEXT;
}

/*
 * On the ingress of a macvlan interface in mode bridge: drops a group frame whose hash was
 * noted as dropped in the last second. It also drops one that is not settled: the
 * sender may have changed it before the parent's program has read it. All other frames pass.
 */
SEC("tc")
int berth_receiver(struct __sk_buff *skb)
{
	if (!frame_grouped(skb))
		return NEXT;
	return !frame_settled(skb) || copy_dropped(skb) ? DROP : NEXT;
}

/*
 * Attached nowhere: the agent runs it with a frame that has the MAC of a macvlan
 * interface as its source, as if it came to the parent. Returns the cookie of the
 * interface's namespace, or 0 if it finds none, in skb->cb.
 */
SEC("tc")
int berth_owner(struct __sk_buff *skb)
{
	__u64 cookie = own_cookie(skb);

	skb->cb[0] = cookie;
	skb->cb[1] = cookie >> 32;
	return NEXT;
}

char _license[] SEC("license") = "GPL";
