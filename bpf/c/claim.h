/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * duplicate-ip: a message on ingress claims an endpoint's address for a MAC that
 * belongs neither to an endpoint nor to the host.
 */
#pragma once

#include "address.h"
#include "endpoint.h"
#include "frame.h"
#include "judge.h"
#include "own.h"
#include "sibling.h"
#include "source.h"

#define ARP_SENDER_MAC 8

/* Reads the address that a message claims. Returns false if it claims none. */
static __always_inline bool claim_read(struct __sk_buff *skb, const struct frame *f,
				       struct address_key *key)
{
	__u32 at;
	__u8 type;

	if (f->proto == bpf_htons(ETH_P_ARP))
		return address_read(skb, f, SOURCE, key);
	at = icmp6_offset(skb, f);
	if (!at || bpf_skb_load_bytes(skb, at, &type, 1))
		return false;
	if (type == ND_NEIGHBOUR_SOLICIT)
		return address_read(skb, f, SOURCE, key);
	return type == ND_NEIGHBOUR_ADVERT &&
	       !bpf_skb_load_bytes(skb, at + ND_TARGET, key->addr, 16);
}

/* Reports whether the sender MAC in an ARP message is an endpoint's or the host's. */
static __always_inline bool claim_ours(struct __sk_buff *skb, const struct frame *f)
{
	struct endpoint_key key = { .vlan = f->from.vlan, .ifindex = f->from.ifindex };

	return f->proto == bpf_htons(ETH_P_ARP) &&
	       !bpf_skb_load_bytes(skb, frame_network(f) + ARP_SENDER_MAC, key.mac, 6) &&
	       endpoint_lookup(&key);
}

/*
 * For ATTACHING_TICKS after an endpoint's last probe, the hook may still replace the
 * endpoint's address. For ANSWERS_TICKS, answers to the probe may arrive.
 */
#define ATTACHING_TICKS 114 /* 120 ms */
#define ANSWERS_TICKS (2 * SECOND_TICKS)

/*
 * Reports whether a claim may answer the owner's own probe. It is no violation then,
 * because the hook replaces the address. Any claim may in the first ATTACHING_TICKS after
 * a probe. After that: an ARP message with the target 0.0.0.0, however old the probe is; and
 * any message of neighbour discovery for ANSWERS_TICKS, because an answer to a probe goes
 * to all nodes and does not name the prober.
 */
static __always_inline bool claim_answers(struct __sk_buff *skb, const struct frame *f,
					  const struct party *owner)
{
	struct address_key key = {};
	const struct state *s = state_of(owner);
	__u32 since = s && s->probed ? ticks_now() - s->probed : ~0U;

	if (since <= ATTACHING_TICKS)
		return true;
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return since <= ANSWERS_TICKS;
	return address_read(skb, f, TARGET, &key) && !*(__be32 *)(key.addr + 12);
}

/* Reports whether a frame may be a message that claims an address. */
static __always_inline bool claim_possible(struct __sk_buff *skb, const struct frame *f)
{
	const __u8 *next = (void *)(long)skb->data + ETH_HLEN +
			   __builtin_offsetof(struct ipv6hdr, nexthdr);

	if (f->proto != bpf_htons(ETH_P_IPV6))
		return f->proto == bpf_htons(ETH_P_ARP);
	return f->network != ETH_HLEN || (void *)(next + 1) > (void *)(long)skb->data_end ||
	       (*next != IPPROTO_TCP && *next != IPPROTO_UDP);
}

/* Judges a frame on ingress that may claim an address, whose source belongs to no endpoint. */
__noinline int claim_judge(struct __sk_buff *skb, const struct frame *f)
{
	struct offence offence = {
		.kind = DUPLICATE_IP,
		.certainty = CERTAIN,
		.evidence = CLAIMED_ADDRESS,
		.direction = INGRESS,
	};
	struct address_key key = {};
	const struct party *owner;

	if (!f)
		return 0;
	key.ifindex = f->from.ifindex;
	key.vlan = f->from.vlan;
	if (!claim_read(skb, f, &key))
		return 0;
	owner = address_given(&key);
	if (!owner || claim_ours(skb, f) || claim_answers(skb, f, owner) ||
	    own_other(skb, f, owner))
		return 0;
	offence.owner = owner->slot;
	violation_report(skb, f, owner, &offence);
	return 0;
}
