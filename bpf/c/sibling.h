/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Endpoints of one parent, and the host, that send each other something by way
 * of the wire: private-attempt, host-isolation and vepa-unreflected when it
 * leaves; private-leak, vepa-bypass and duplicate-mac when it comes in.
 */
#pragma once

#include "address.h"
#include "endpoint.h"
#include "frame.h"
#include "judge.h"

#define ARP_OPERATION 6
#define ARP_REQUEST 1 /* RFC 826 */

/* So many frames to siblings, in a second or more, of which none comes back. */
#define WAITING_MIN 3

static __always_inline struct state *state_of(const struct party *p)
{
	__u32 slot = p->slot;

	return bpf_map_lookup_elem(&states, &slot);
}

/* Whether an endpoint has sent a sibling or the host something of late. */
static __always_inline bool sent_of_late(const struct party *p)
{
	const struct state *s = state_of(p);

	return s && ticks_recent(s->out);
}

/* vepa-unreflected: notes a frame to a sibling, and judges. */
static __always_inline bool vepa_waits(const struct party *from, struct finding *found)
{
	struct state *s = state_of(from);
	__u32 now = ticks_now();

	if (!s)
		return false;
	if (!s->waiting)
		s->since = now;
	s->waiting++;
	found->kind = VEPA_UNREFLECTED;
	found->certainty = SUSPECTED;
	found->evidence = NO_REFLECTION;
	return s->waiting >= WAITING_MIN && now - s->since >= SECOND_TICKS;
}

/* A frame of an endpoint's own has come back. */
static __always_inline void vepa_back(const struct endpoint *from)
{
	struct state *s = state_of(&from->is);

	if (s && s->waiting)
		s->waiting = 0;
}

/* Whether it is a violation that an endpoint seeks a sibling; finds which. */
static __always_inline bool sibling_sought(const struct party *from, __u32 slot,
					   struct finding *found)
{
	found->receiver = slot;
	if (from->mode == MODE_VEPA)
		return vepa_waits(from, found);
	found->kind = PRIVATE_ATTEMPT;
	return from->mode == MODE_PRIVATE;
}

/*
 * Egress of a frame to a sibling's MAC, or the host's. Whether it is to be
 * dropped.
 */
__noinline bool local_look(struct __sk_buff *skb, const struct frame *f,
				  const struct endpoint *from, const struct endpoint *to)
{
	struct finding found;
	struct state *s;

	if (!f || !from || !to || to->is.slot == from->is.slot)
		return false;
	found = finding_of(skb, &from->is, from->cookie, HOST_ISOLATION, EGRESS);
	s = state_of(&from->is);
	if (s)
		s->out = ticks_now();
	if (!(to->is.flags & ENDPOINT_PARENT) && !sibling_sought(&from->is, to->is.slot, &found))
		return false;
	return breaks(skb, f, &from->is, &found);
}

/* The endpoint, or host, whose MAC a frame on egress is for, or 0. */
static __always_inline const struct endpoint *local_find(const struct frame *f)
{
	const struct filter *at = filter_at(&f->to);

	return at && at->endpoint ? endpoint_find(&f->to) : 0;
}

/*
 * Reads the address that an ARP request or a neighbour solicitation asks for.
 * A probe, which has no source, asks whether it is free.
 */
static __always_inline bool asked_read(struct __sk_buff *skb, const struct frame *f,
				       struct address_key *key)
{
	__u32 at = frame_network(f);
	bool sourced = false;
	__be16 operation;

	if (f->proto == bpf_htons(ETH_P_ARP))
		return !bpf_skb_load_bytes(skb, at + ARP_OPERATION, &operation, sizeof(operation)) &&
		       operation == bpf_htons(ARP_REQUEST) && address_read(skb, f, SOURCE, key) &&
		       *(__be32 *)(key->addr + 12) && address_read(skb, f, TARGET, key);
	return solicit_read(skb, f, key, &sourced) && sourced;
}

/* Reports whether a frame asks if an address is free (RFC 5227, RFC 4862). */
static __always_inline bool probes(struct __sk_buff *skb, const struct frame *f)
{
	struct address_key key = {};
	bool sourced = true;

	if (f->proto == bpf_htons(ETH_P_ARP))
		return address_read(skb, f, SOURCE, &key) && !*(__be32 *)(key.addr + 12);
	return solicit_read(skb, f, &key, &sourced) && !sourced;
}

/*
 * Egress of an endpoint's frame that may ask for an address. Whether it is to
 * be dropped.
 */
__noinline bool asked_look(struct __sk_buff *skb, const struct frame *f,
				  const struct party *from, __u64 cookie)
{
	struct address_key key = {};
	const struct party *of;
	struct finding found;

	struct state *s;

	if (!f || !from)
		return false;
	key.ifindex = f->from.ifindex;
	key.vlan = f->from.vlan;
	if (!asked_read(skb, f, &key)) {
		s = probes(skb, f) ? state_of(from) : 0;
		if (s)
			s->probed = ticks_now();
		return false;
	}
	found = finding_of(skb, from, cookie, HOST_ISOLATION, EGRESS);
	of = bpf_map_lookup_elem(&addresses, &key);
	if (!of || of->slot == from->slot)
		return false;
	if (of->slot != ADDRESS_HOST && !sibling_sought(from, of->slot, &found))
		return false;
	return breaks(skb, f, from, &found);
}

static __always_inline bool asks(const struct frame *f)
{
	return f->proto == bpf_htons(ETH_P_ARP) || f->proto == bpf_htons(ETH_P_IPV6);
}

/* duplicate-mac: a frame that the endpoint whose MAC it has did not send. */
static __always_inline bool duplicate(struct __sk_buff *skb, const struct frame *f,
				      const struct endpoint *owner, __u32 receiver,
				      enum certainty certainty, enum evidence evidence)
{
	struct finding found = {
		.kind = DUPLICATE_MAC,
		.certainty = certainty,
		.evidence = evidence,
		.way = INGRESS,
		.owner = owner->is.slot,
		.receiver = receiver,
	};

	return breaks(skb, f, &owner->is, &found);
}

/*
 * A frame between siblings on ingress that the sender has not sent to the
 * wire of late: handed over past it, or another's. One in mode vepa without a
 * socket may be either.
 */
__noinline bool unsent_look(struct __sk_buff *skb, const struct frame *f,
				   const struct endpoint *from, const struct endpoint *to)
{
	struct finding found;
	bool vepa;

	if (!f || !from || !to)
		return false;
	found = finding_of(skb, &from->is, from->cookie, VEPA_BYPASS, INGRESS);
	vepa = from->is.mode == MODE_VEPA && to->is.mode == MODE_VEPA;
	if (vepa && !frame_socket(skb) && f->proto == bpf_htons(ETH_P_ARP))
		return false;
	if (!vepa || !frame_socket(skb) || (found.cookie && found.evidence != NETNS_COOKIE))
		return duplicate(skb, f, from, to->is.slot, SUSPECTED, NOT_SENT);
	found.receiver = to->is.slot;
	if (found.evidence != NETNS_COOKIE) {
		found.certainty = SUSPECTED;
		found.evidence = SOCKET;
	}
	return breaks(skb, f, &from->is, &found);
}

__noinline bool leak_look(struct __sk_buff *skb, const struct frame *f,
				 const struct endpoint *from, const struct endpoint *to)
{
	struct finding found;

	if (!f || !from || !to)
		return false;
	found = finding_of(skb, &from->is, from->cookie, PRIVATE_LEAK, INGRESS);
	found.receiver = to->is.slot;
	return breaks(skb, f, &to->is, &found);
}

/*
 * Ingress of a frame from an endpoint to a sibling, or to the host, that the
 * driver has no reason to hand over. Whether it is to be dropped.
 */
static __always_inline bool wire_judge(struct __sk_buff *skb, const struct frame *f,
				       const struct endpoint *from, const struct endpoint *to)
{
	if (from->is.slot == to->is.slot)
		return false;
	if (!sent_of_late(&from->is))
		return unsent_look(skb, f, from, to);
	return to->is.mode == MODE_PRIVATE && leak_look(skb, f, from, to);
}
