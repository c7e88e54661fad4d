/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * mac-spoof: a frame has a source MAC that its sender, an endpoint, does not
 * own. The host, its bridges and macvlans that berth did not create send through
 * the parent too, so an unknown source alone is no violation. The sender must be
 * identified as an endpoint by its namespace or, as suspected only, by its
 * source address.
 */
#pragma once

#include "judge.h"
#include "own.h"

enum spoof {
	SPOOF_NONE, /* the source is not forged */
	SPOOF_FLAGGED, /* forged, and passed: a violation unless exempt, no traffic of the MAC's owner */
	SPOOF_DROPPED, /* forged, and to be dropped */
};

/* Judges a frame that was sent from another namespace than that of its source MAC's owner. */
__noinline int spoof_judge(struct __sk_buff *skb, const struct frame *f, const struct endpoint *owner,
			  __u64 cookie, enum direction direction)
{
	struct offence offence = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.direction = direction,
		.cookie = cookie,
	};
	const struct party *sender;

	if (!f || !owner)
		return SPOOF_NONE;
	sender = sender_party(f, cookie);
	if (!sender || sender->slot == owner->is.slot || own_other(skb, f, sender))
		return SPOOF_NONE;
	offence.sender = sender->slot;
	offence.owner = owner->is.slot;
	return violation_report(skb, f, sender, &offence) ? SPOOF_DROPPED : SPOOF_FLAGGED;
}

/*
 * Returns the cookie of the namespace that a frame with a socket was sent from, or 0
 * if the kernel does not name it. Without a socket the helper names the initial
 * namespace. Kernels without the helper are read only for group frames, which are
 * few and which the good path never handles.
 */
static __always_inline __u64 spoof_cookie(struct __sk_buff *skb, const struct frame *f)
{
	if (have_netns_cookie)
		return bpf_get_netns_cookie(skb);
	return frame_cast(f) != UNICAST ? kernel_sender_cookie(skb) : 0;
}

/* Judges mac-spoof of a frame whose source MAC is an endpoint's or the host's. */
static __always_inline enum spoof spoof_owned(struct __sk_buff *skb, const struct frame *f,
					      const struct endpoint *owner, enum direction direction)
{
	__u64 cookie = spoof_cookie(skb, f);

	if (!cookie || cookie == owner->cookie || !frame_socket(skb))
		return SPOOF_NONE;
	return spoof_judge(skb, f, owner, cookie, direction);
}

/* Judges mac-spoof of a frame whose source MAC belongs to no endpoint. Reports whether to drop it. */
__noinline bool spoof_unowned(struct __sk_buff *skb, const struct frame *f,
			      enum direction direction)
{
	struct offence offence = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.direction = direction,
	};
	const struct party *sender;

	if (!f)
		return false;
	if (frame_socket(skb))
		offence.cookie = spoof_cookie(skb, f);
	sender = offence.cookie ? sender_party(f, offence.cookie) : 0;
	if (!sender) { /* perhaps an endpoint that has moved its interface to another namespace */
		offence.certainty = SUSPECTED;
		offence.evidence = SOURCE_ADDRESS;
		sender = address_party(skb, f, SOURCE);
	}
	if (!sender || own_other(skb, f, sender))
		return false;
	offence.sender = sender->slot;
	return violation_report(skb, f, sender, &offence);
}
