/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Frames between endpoints of one parent, or an endpoint and the host, by way of
 * the wire: private-attempt, host-isolation and vepa-unreflected on egress;
 * private-leak, vepa-bypass and duplicate-mac on ingress.
 */
#pragma once

#include "address.h"
#include "endpoint.h"
#include "frame.h"
#include "judge.h"

#define ARP_OPERATION 6
#define ARP_REQUEST 1 /* RFC 826 */
#define ARP_REPLY 2

/* vepa-unreflected: this many frames to siblings, in a second or more, without a reflected one. */
#define WAITING_MIN 3

static __always_inline struct state *state_of(const struct party *p)
{
	__u32 slot = p->slot;

	return bpf_map_lookup_elem(&states, &slot);
}

/* Reports whether an endpoint sent a frame to a sibling or the host in the last second. */
static __always_inline bool sent_of_late(const struct party *p)
{
	const struct state *s = state_of(p);

	return s && ticks_recent(s->out);
}

/* Notes a frame to a sibling. Reports whether it is a violation (vepa-unreflected). */
static __always_inline bool vepa_waits(const struct party *from, struct offence *offence)
{
	struct state *s = state_of(from);
	__u32 now = ticks_now();

	if (!s)
		return false;
	if (!s->waiting)
		s->since = now;
	s->waiting++;
	offence->kind = VEPA_UNREFLECTED;
	offence->certainty = SUSPECTED;
	offence->evidence = NO_REFLECTION;
	return s->waiting >= WAITING_MIN && now - s->since >= SECOND_TICKS;
}

/* Notes that a frame of the endpoint was reflected. */
static __always_inline void vepa_back(const struct endpoint *from)
{
	struct state *s = state_of(&from->is);

	if (s && s->waiting)
		s->waiting = 0;
}

/*
 * Reports whether contacting a sibling is a violation. Sets the offence's receiver and
 * kind, also if it is none: VEPA_UNREFLECTED in mode vepa, else PRIVATE_ATTEMPT.
 */
static __always_inline bool sibling_contacted(const struct party *from, __u32 slot,
					      struct offence *offence)
{
	offence->receiver = slot;
	if (from->mode == MODE_VEPA)
		return vepa_waits(from, offence);
	offence->kind = PRIVATE_ATTEMPT;
	return from->mode == MODE_PRIVATE;
}

/*
 * Reports whether a frame answers an ARP probe: its target address is 0.0.0.0
 * (RFC 5227 section 2.1.1).
 */
static __always_inline bool probe_answered(struct __sk_buff *skb, const struct frame *f)
{
	struct address_key key = {};
	__be16 operation;

	return f->proto == bpf_htons(ETH_P_ARP) &&
	       !bpf_skb_load_bytes(skb, frame_network(f) + ARP_OPERATION, &operation,
				   sizeof(operation)) &&
	       operation == bpf_htons(ARP_REPLY) && address_read(skb, f, TARGET, &key) &&
	       !*(__be32 *)(key.addr + 12);
}

/*
 * Judges a frame on egress to a sibling's MAC, or the host's. Reports whether to
 * drop it. An answer to the host's probe is no violation: the hook probes from the
 * parent, and a switch that reflects brings the probe to the containers in mode vepa.
 */
__noinline bool local_judge(struct __sk_buff *skb, const struct frame *f, const struct party *from,
			    __u64 cookie, const struct endpoint *to)
{
	struct offence offence;
	struct state *s;

	if (!f || !from || !to || to->is.slot == from->slot)
		return false;
	offence = offence_of(skb, from, cookie, HOST_ISOLATION, EGRESS);
	s = state_of(from);
	if (s)
		s->out = ticks_now();
	if (to->is.flags & ENDPOINT_PARENT ? probe_answered(skb, f)
					   : !sibling_contacted(from, to->is.slot, &offence))
		return false;
	return violation_report(skb, f, from, &offence);
}

/* Returns the endpoint, or the host, that has the destination MAC of a frame on egress, or 0. */
static __always_inline const struct endpoint *local_endpoint(const struct frame *f)
{
	return endpoint_lookup(&f->to);
}

/*
 * Reads the target address of an ARP request or a neighbour solicitation. Returns
 * false for other frames and for a probe, which has no source address.
 */
static __always_inline bool request_read(struct __sk_buff *skb, const struct frame *f,
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

/* Reports whether a frame is a probe for an address (RFC 5227, RFC 4862). */
static __always_inline bool is_probe(struct __sk_buff *skb, const struct frame *f)
{
	struct address_key key = {};
	bool sourced = true;

	if (f->proto == bpf_htons(ETH_P_ARP))
		return address_read(skb, f, SOURCE, &key) && !*(__be32 *)(key.addr + 12);
	return solicit_read(skb, f, &key, &sourced) && !sourced;
}

/*
 * Judges an endpoint's frame on egress that may be an ARP request or a neighbour
 * solicitation: a request for the address of the host (host-isolation) or of a sibling
 * (private-attempt, vepa-unreflected). A packet to the host's address in a group frame is
 * judged too, because the host accepts it if a switch reflects it; the driver passes no
 * reflected group frame to a sibling in mode private. Reports whether to drop the frame. If it is a
 * probe, notes its time in the endpoint's state, for claim_answers.
 */
__noinline bool request_judge(struct __sk_buff *skb, const struct frame *f,
				  const struct party *from, __u64 cookie)
{
	struct address_key key = {};
	const struct party *target;
	struct offence offence;
	struct state *s;
	bool asks;

	if (!f || !from)
		return false;
	key.ifindex = f->from.ifindex;
	key.vlan = f->from.vlan;
	asks = request_read(skb, f, &key);
	if (!asks) {
		s = is_probe(skb, f) ? state_of(from) : 0;
		if (s)
			s->probed = ticks_now();
		if (frame_cast(f) == UNICAST || f->proto == bpf_htons(ETH_P_ARP) ||
		    !address_read(skb, f, TARGET, &key))
			return false;
	}
	offence = offence_of(skb, from, cookie, HOST_ISOLATION, EGRESS);
	target = bpf_map_lookup_elem(&addresses, &key);
	if (!target || target->slot == from->slot)
		return false;
	if (target->slot != ADDRESS_HOST &&
	    (!asks || !sibling_contacted(from, target->slot, &offence)))
		return false;
	return violation_report(skb, f, from, &offence);
}

/* Reports whether request_judge may judge a frame. */
static __always_inline bool request_possible(const struct frame *f)
{
	return f->proto == bpf_htons(ETH_P_ARP) || f->proto == bpf_htons(ETH_P_IPV6) ||
	       (f->proto == bpf_htons(ETH_P_IP) && frame_cast(f) != UNICAST);
}

/* Reports whether the destination in a frame's IP header, which is in linear memory, is no group. */
static __always_inline bool frame_for_one(struct __sk_buff *skb, const struct frame *f)
{
	const struct iphdr *ip = (void *)(long)skb->data + ETH_HLEN;
	const struct ipv6hdr *ip6 = (void *)ip;
	const void *end = (void *)(long)skb->data_end;

	if (f->proto == bpf_htons(ETH_P_IP))
		return (void *)(ip + 1) <= end && *(const __u8 *)&ip->daddr < 0xe0;
	return f->proto == bpf_htons(ETH_P_IPV6) && (void *)(ip6 + 1) <= end &&
	       ip6->daddr.in6_u.u6_addr8[0] != 0xff;
}

/* Counts duplicate-mac: the owner of the source MAC did not send the frame. Reports whether to drop it. */
static __always_inline bool duplicate_mac(struct __sk_buff *skb, const struct frame *f,
					  const struct endpoint *owner, __u32 receiver,
					  enum certainty certainty, enum evidence evidence)
{
	struct offence offence = {
		.kind = DUPLICATE_MAC,
		.certainty = certainty,
		.evidence = evidence,
		.direction = INGRESS,
		.owner = owner->is.slot,
		.receiver = receiver,
	};

	return violation_report(skb, f, &owner->is, &offence);
}

/*
 * Judges a frame between siblings on ingress, if its source has sent none to the
 * wire in the last second. Either it was handed over past the wire (vepa-bypass),
 * or another machine sent it (duplicate-mac). In mode vepa, a frame without a
 * socket may be either; ARP then is not judged. Reports whether to drop the frame.
 */
__noinline bool unsent_judge(struct __sk_buff *skb, const struct frame *f,
				   const struct endpoint *from, const struct endpoint *to)
{
	struct offence offence;
	bool vepa;

	if (!f || !from || !to)
		return false;
	offence = offence_of(skb, &from->is, from->cookie, VEPA_BYPASS, INGRESS);
	vepa = from->is.mode == MODE_VEPA && to->is.mode == MODE_VEPA;
	if (vepa && !frame_socket(skb) && f->proto == bpf_htons(ETH_P_ARP))
		return false;
	if (!vepa || !frame_socket(skb) || (offence.cookie && offence.evidence != NETNS_COOKIE))
		return duplicate_mac(skb, f, from, to->is.slot, SUSPECTED, NOT_SENT);
	offence.receiver = to->is.slot;
	if (offence.evidence != NETNS_COOKIE) {
		offence.certainty = SUSPECTED;
		offence.evidence = SOCKET;
	}
	return violation_report(skb, f, &from->is, &offence);
}

/* Counts private-leak, for the receiver. Reports whether to drop the frame. */
__noinline bool leak_judge(struct __sk_buff *skb, const struct frame *f,
				 const struct endpoint *from, const struct endpoint *to)
{
	struct offence offence;

	if (!f || !from || !to)
		return false;
	offence = offence_of(skb, &from->is, from->cookie, PRIVATE_LEAK, INGRESS);
	offence.receiver = to->is.slot;
	return violation_report(skb, f, &to->is, &offence);
}

/*
 * Judges a frame on ingress from an endpoint to a sibling, or to the host, in
 * modes in which the driver does not hand frames over. Reports whether to drop it.
 */
static __always_inline bool wire_judge(struct __sk_buff *skb, const struct frame *f,
				       const struct endpoint *from, const struct endpoint *to)
{
	if (from->is.slot == to->is.slot)
		return false;
	if (!sent_of_late(&from->is))
		return unsent_judge(skb, f, from, to);
	return to->is.mode == MODE_PRIVATE && leak_judge(skb, f, from, to);
}
