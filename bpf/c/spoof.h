/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * mac-spoof: a frame has a source MAC that its sender, an endpoint, does not
 * own. The host, its bridges and macvlans that berth did not create send through
 * the parent too, so an unknown source alone is no violation. The sender must be
 * identified as an endpoint by its namespace or, as suspected only, by its
 * source address.
 *
 * A forged MAC hides no other offence: if mac-spoof is not enforced, the frame is judged
 * for the kinds that are, and dropped for them. Otherwise it counts as mac-spoof alone.
 */
#pragma once

#include "judge.h"
#include "own.h"
#include "sibling.h"
#include "source.h"

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
 * Returns the sender of a frame with a forged source MAC, or 0: the endpoint of its namespace
 * (named) or, as suspected only, that of its source address, which may have moved its interface
 * to another namespace.
 */
static __always_inline const struct party *spoof_sender(struct __sk_buff *skb, const struct frame *f,
							__u64 *cookie, bool *named)
{
	const struct party *sender;

	*cookie = sender_cookie(skb);
	sender = *cookie ? sender_party(f, *cookie) : 0;
	*named = sender;
	return sender ? sender : address_party(skb, f, SOURCE);
}

/*
 * Judges a frame with a forged source MAC that passes, for the other kinds that its sender's
 * network enforces. Reports whether to drop the frame.
 */
static __always_inline bool spoof_judge_rest(struct __sk_buff *skb, const struct frame *f,
					     enum direction direction)
{
	const struct party *sender;
	const struct endpoint *to;
	struct party from;
	__u64 cookie;
	bool named;

	if (!f)
		return false;
	sender = spoof_sender(skb, f, &cookie, &named);
	if (!sender || !sender->enforce)
		return false;
	from = *sender;
	from.exempt |= ~from.enforce | 1U << MAC_SPOOF;
	from.flags |= named ? ENDPOINT_BY_COOKIE : ENDPOINT_BY_ADDRESS;
	if (source_judge(skb, f, &from, cookie, direction))
		return true;
	if (direction != EGRESS)
		return false;
	to = frame_cast(f) == UNICAST ? local_endpoint(f) : 0;
	if (to)
		return local_judge(skb, f, &from, cookie, to);
	return request_possible(f) && request_judge(skb, f, &from, cookie);
}

/* A function for each direction, as the stack of all calls is bounded. */
__noinline bool spoof_rest_ingress(struct __sk_buff *skb, const struct frame *f)
{
	return spoof_judge_rest(skb, f, INGRESS);
}

__noinline bool spoof_rest_egress(struct __sk_buff *skb, const struct frame *f)
{
	return spoof_judge_rest(skb, f, EGRESS);
}

static __always_inline bool spoof_hides(struct __sk_buff *skb, const struct frame *f,
					enum direction direction)
{
	return direction == EGRESS ? spoof_rest_egress(skb, f) : spoof_rest_ingress(skb, f);
}

/* Judges mac-spoof of a frame whose source MAC is an endpoint's or the host's. */
static __always_inline enum spoof spoof_owned(struct __sk_buff *skb, const struct frame *f,
					      const struct endpoint *owner, enum direction direction)
{
	__u64 cookie = sender_cookie(skb);
	enum spoof spoof;

	if (!cookie || cookie == owner->cookie)
		return SPOOF_NONE;
	spoof = spoof_judge(skb, f, owner, cookie, direction);
	return spoof == SPOOF_FLAGGED && spoof_hides(skb, f, direction) ? SPOOF_DROPPED : spoof;
}

/* Judges mac-spoof of a frame whose source MAC belongs to no endpoint. */
__noinline int spoof_stranger(struct __sk_buff *skb, const struct frame *f, enum direction direction)
{
	struct offence offence = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.direction = direction,
	};
	const struct party *sender;
	bool named;

	if (!f)
		return SPOOF_NONE;
	sender = spoof_sender(skb, f, &offence.cookie, &named);
	if (!sender || own_other(skb, f, sender))
		return SPOOF_NONE;
	if (!named) {
		offence.certainty = SUSPECTED;
		offence.evidence = SOURCE_ADDRESS;
	}
	offence.sender = sender->slot;
	return violation_report(skb, f, sender, &offence) ? SPOOF_DROPPED : SPOOF_FLAGGED;
}

/* Judges a frame whose source MAC belongs to no endpoint. Reports whether to drop it. */
static __always_inline bool spoof_unowned(struct __sk_buff *skb, const struct frame *f,
					  enum direction direction)
{
	enum spoof spoof = spoof_stranger(skb, f, direction);

	return spoof == SPOOF_DROPPED ||
	       (spoof == SPOOF_FLAGGED && spoof_hides(skb, f, direction));
}
