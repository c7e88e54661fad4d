/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Violations: who sent a frame, what it broke, and the event that says so.
 * Nothing of this but sender_slot is on the way of a good frame.
 */
#pragma once

#include "address.h"
#include "count.h"
#include "frame.h"
#include "layout.h"

/* Times are kept in ticks of 2^20 ns, in 32 bits, and never 0. */
#define TICK_SHIFT 20
#define SECOND_TICKS 954

/* At most one event a slot and kind in so many ticks, a tenth of a second. */
#define EVENT_TICKS 95

/*
 * Whether bpf_get_netns_cookie may be called from TC here: newer than 6.12.
 * Set at load time, so that the verifier never sees the call elsewhere.
 */
volatile const bool have_netns_cookie = false;

struct finding {
	__u64 cookie;
	__u32 sender, owner, receiver; /* slots, or 0 */
	__u32 counted; /* the one of these that it is counted for */
	enum kind kind;
	enum certainty certainty;
	enum evidence evidence;
	enum way way;
	bool dropped;
	__u8 reserved[3];
};

/* The cookie of the sender's namespace; 0 where the kernel cannot tell. */
static __always_inline __u64 sender_cookie(struct __sk_buff *skb)
{
	/* Without a socket the helper would name the initial namespace. */
	if (!have_netns_cookie || !frame_socket(skb))
		return 0;
	return bpf_get_netns_cookie(skb);
}

/*
 * Whether a frame's socket is one of a namespace's or, where the kernel cannot
 * tell, there is one.
 */
static __always_inline bool sent_from(struct __sk_buff *skb, __u64 cookie)
{
	__u64 sender = sender_cookie(skb);

	return sender ? sender == cookie : frame_socket(skb);
}

/* The endpoint of a namespace on this parent, in this VLAN or all, or 0. */
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

/* Whether a time, 0 for never, was within the last second. */
static __always_inline bool ticks_recent(__u32 when)
{
	return when && ticks_now() - when <= SECOND_TICKS;
}

/* Takes the right to send the next event; counts it as left out otherwise. */
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
				  const struct finding *found)
{
	__u32 captured = skb->len;

	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_boot_ns();
	e->cookie = found->cookie;
	e->ifindex = f->from.ifindex;
	e->vlan = f->from.vlan;
	e->sender = found->sender;
	e->owner = found->owner;
	e->receiver = found->receiver;
	e->counted = found->counted;
	e->dropped = found->dropped;
	e->length = skb->len;
	e->kind = found->kind;
	e->certainty = found->certainty;
	e->evidence = found->evidence;
	e->way = found->way;
	if (captured > EVENT_BYTES)
		captured = EVENT_BYTES;
	barrier_var(captured); /* the verifier of 6.1 must see the bounds of this very register */
	if (captured < ETH_HLEN || captured > EVENT_BYTES)
		return;
	if (!bpf_skb_load_bytes(skb, 0, e->bytes, captured))
		e->captured = captured;
}

static __always_inline void event_send(struct __sk_buff *skb, const struct frame *f,
				       const struct finding *found, struct violation *v)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		event_lose(v);
		return;
	}
	event_fill(e, skb, f, found);
	e->left_out = __sync_lock_test_and_set(&v->left_out, 0);
	bpf_ringbuf_submit(e, 0);
}

/* The violations of a slot, made when there are none; else those of slot 0. */
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
 * Counts a violation, and sends an event where one is due. As all functions
 * that are not static it is verified once, by itself, and returns a number.
 */
__noinline int violation(struct __sk_buff *skb, const struct frame *f, const struct finding *found)
{
	struct violations *all;
	struct violation *v;
	struct count n;

	if (!f || !found)
		return 0;
	all = violations_of(found->counted);
	if (!all || found->kind >= KINDS)
		return 0;
	v = &all->of[found->kind];
	frame_measure(skb, f, &n);
	__sync_fetch_and_add(&v->packets, n.packets);
	if (found->dropped)
		__sync_fetch_and_add(&v->dropped, n.packets);
	if (event_due(v))
		event_send(skb, f, found, v);
	return 0;
}

/*
 * What is found about a frame whose sender is known: by its namespace's cookie,
 * where that is known (else 0) and the kernel can tell; else by its MAC or, of
 * ipvlan, which shares it, by its address.
 */
static __always_inline struct finding finding_of(struct __sk_buff *skb, const struct party *from,
						 __u64 cookie, enum kind kind, enum way way)
{
	struct finding found = {
		.kind = kind,
		.certainty = CERTAIN,
		.evidence = SOURCE_MAC,
		.way = way,
		.cookie = sender_cookie(skb),
		.sender = from->slot,
	};

	if (found.cookie && found.cookie == cookie) {
		found.evidence = NETNS_COOKIE;
	} else if (from->mode >= MODE_L2) {
		found.certainty = SUSPECTED;
		found.evidence = SOURCE_ADDRESS;
	}
	return found;
}

/*
 * Counts a violation for an endpoint, unless its network exempts it. Whether
 * the frame is to be dropped.
 */
static __always_inline bool breaks(struct __sk_buff *skb, const struct frame *f,
				   const struct party *who, struct finding *found)
{
	__u32 bit = 1U << found->kind;

	if (who->exempt & bit)
		return false;
	found->counted = who->slot;
	found->dropped = !!(who->enforce & bit);
	violation(skb, f, found);
	return found->dropped;
}
