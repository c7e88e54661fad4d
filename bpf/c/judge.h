/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * How a judging function reports a violation: it fills in an offence, by offence_of if
 * the sender of the frame is known, and calls violation_report. That counts the
 * offence, sends an event if one is due, and returns whether to drop the frame.
 */
#pragma once

#include "address.h"
#include "count.h"
#include "frame.h"
#include "layout.h"

/* Times are 32-bit ticks of 2^20 ns, and never 0. */
#define TICK_SHIFT 20
#define SECOND_TICKS 954

/* At most one event per slot and kind is sent in this time, a tenth of a second. */
#define EVENT_TICKS 95

/*
 * True if TC programs may call bpf_get_netns_cookie (kernels after 6.12). It is
 * set at load time, so the verifier sees no such call on other kernels. On those
 * the programs read the cookie from the kernel's types (kernel.h), which costs more.
 */
volatile const bool have_netns_cookie = false;

/* A violation by a frame. A violation that the agent detects without one is a finding. */
struct offence {
	__u64 cookie;
	__u32 sender, owner, receiver; /* slots, or 0 */
	__u32 counted; /* the slot, of these three, that the violation is counted for */
	enum kind kind;
	enum certainty certainty;
	enum evidence evidence;
	enum direction direction;
	bool dropped;
	__u8 reserved[3];
};

/*
 * Returns the cookie of the sender's namespace, or 0 if the frame has no socket or the kernel
 * does not name the namespace. Kernels without the helper name it in their own structures.
 * A function of its own, as the stack of all calls is bounded.
 */
__noinline __u64 sender_cookie(struct __sk_buff *skb)
{
	/* Without a socket the helper would name the initial namespace. */
	if (!frame_socket(skb))
		return 0;
	return have_netns_cookie ? bpf_get_netns_cookie(skb) : kernel_sender_cookie(skb);
}

/*
 * Reports whether a frame's socket is in the namespace with the given cookie or,
 * if the kernel does not name the namespace or the cookie is 0 (unknown), whether
 * the frame has a socket.
 */
static __always_inline bool sent_from(struct __sk_buff *skb, __u64 cookie)
{
	__u64 sender = sender_cookie(skb);

	return sender && cookie ? sender == cookie : frame_socket(skb);
}

/* Returns a namespace's endpoint on the frame's parent and VLAN, or on the parent in all VLANs, or 0. */
static __always_inline const struct party *sender_party(const struct frame *f, __u64 cookie)
{
	struct namespace_key key = {
		.cookie = cookie,
		.ifindex = f->from.ifindex,
		.vlan = f->from.vlan,
	};
	const struct party *p = bpf_map_lookup_elem(&namespaces, &key);

	if (!p && key.vlan) {
		key.vlan = 0;
		p = bpf_map_lookup_elem(&namespaces, &key);
	}
	return p;
}

static __always_inline __u32 ticks_now(void)
{
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT | 1;
}

/* Reports whether a tick, 0 if never, is within the last second. */
static __always_inline bool ticks_recent(__u32 when)
{
	return when && ticks_now() - when <= SECOND_TICKS;
}

/* Reports whether an event may be sent now; if not, counts it as left out. */
static __always_inline bool event_due(struct violation *v)
{
	__u32 now = ticks_now();
	__u32 last = v->last;

	if ((!last || now - last >= EVENT_TICKS) &&
	    __sync_val_compare_and_swap(&v->last, last, now) == last)
		return true;
	__sync_fetch_and_add(&v->left_out, 1);
	return false;
}

static __always_inline void event_lose(struct violation *v)
{
	count_lost(LOST_EVENTS);
	__sync_fetch_and_add(&v->left_out, 1);
}

static __noinline void event_fill(struct event *e, struct __sk_buff *skb, const struct frame *f,
				  const struct offence *offence)
{
	__u32 captured = skb->len;

	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_boot_ns();
	e->cookie = offence->cookie;
	e->ifindex = f->from.ifindex;
	e->vlan = f->from.vlan;
	e->sender = offence->sender;
	e->owner = offence->owner;
	e->receiver = offence->receiver;
	e->counted = offence->counted;
	e->dropped = offence->dropped;
	e->length = skb->len;
	e->kind = offence->kind;
	e->certainty = offence->certainty;
	e->evidence = offence->evidence;
	e->direction = offence->direction;
	if (captured > EVENT_BYTES)
		captured = EVENT_BYTES;
	barrier_var(captured); /* the verifier of 6.1 must see the bounds of this very register */
	if (captured < ETH_HLEN || captured > EVENT_BYTES)
		return;
	if (!bpf_skb_load_bytes(skb, 0, e->bytes, captured))
		e->captured = captured;
}

static __always_inline void event_send(struct __sk_buff *skb, const struct frame *f,
				       const struct offence *offence, struct violation *v)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		event_lose(v);
		return;
	}
	event_fill(e, skb, f, offence);
	e->left_out = __sync_lock_test_and_set(&v->left_out, 0);
	bpf_ringbuf_submit(e, 0);
}

/* Returns the violations of a slot, which it adds if missing, or those of slot 0 if it cannot. */
static __always_inline struct violations *violations_of(__u32 slot)
{
	struct violations *all = bpf_map_lookup_elem(&violations, &slot);
	static const struct violations fresh;

	if (all)
		return all;
	bpf_map_update_elem(&violations, &slot, &fresh, BPF_NOEXIST);
	all = bpf_map_lookup_elem(&violations, &slot);
	if (all)
		return all;
	slot = 0;
	return bpf_map_lookup_elem(&violations, &slot);
}

/*
 * Counts a violation, and sends an event if one is due. Like all functions that
 * are not static, it is verified once, by itself, and must return a number.
 */
__noinline int violation_count(struct __sk_buff *skb, const struct frame *f,
			       const struct offence *offence)
{
	struct violations *all;
	struct violation *v;
	struct count n;

	if (!f || !offence)
		return 0;
	all = violations_of(offence->counted);
	if (!all || offence->kind >= KINDS)
		return 0;
	v = &all->of[offence->kind];
	frame_measure(skb, f, &n);
	__sync_fetch_and_add(&v->packets, n.packets);
	if (offence->dropped)
		__sync_fetch_and_add(&v->dropped, n.packets);
	if (event_due(v))
		event_send(skb, f, offence, v);
	return 0;
}

/*
 * Returns an offence by a frame whose sender is known. The evidence is NETNS_COOKIE
 * if the kernel names the namespace that sent the frame, and its cookie is the given
 * one. If the two differ or one is 0, it is the source MAC or, for ipvlan, whose
 * endpoints share a MAC, the source address, which proves nothing. A copy of a party for a
 * frame with a forged MAC names the evidence.
 */
static __always_inline struct offence offence_of(struct __sk_buff *skb, const struct party *from,
						 __u64 cookie, enum kind kind,
						 enum direction direction)
{
	struct offence offence = {
		.kind = kind,
		.certainty = CERTAIN,
		.evidence = SOURCE_MAC,
		.direction = direction,
		.cookie = sender_cookie(skb),
		.sender = from->slot,
	};

	if (from->flags & ENDPOINT_BY_COOKIE) {
		offence.cookie = cookie;
		offence.evidence = NETNS_COOKIE;
	} else if (from->flags & ENDPOINT_BY_ADDRESS) {
		offence.certainty = SUSPECTED;
		offence.evidence = SOURCE_ADDRESS;
	} else if (offence.cookie && offence.cookie == cookie) {
		offence.evidence = NETNS_COOKIE;
	} else if (from->mode >= MODE_L2) {
		offence.certainty = SUSPECTED;
		offence.evidence = SOURCE_ADDRESS;
	}
	return offence;
}

/*
 * Counts a violation for an endpoint, unless its network exempts the kind.
 * Reports whether to drop the frame.
 */
static __always_inline bool violation_report(struct __sk_buff *skb, const struct frame *f,
					     const struct party *party, struct offence *offence)
{
	__u32 bit = 1U << offence->kind;

	if (party->exempt & bit)
		return false;
	offence->counted = party->slot;
	offence->dropped = !!(party->enforce & bit);
	violation_count(skb, f, offence);
	return offence->dropped;
}
