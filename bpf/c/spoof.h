/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * mac-spoof: a frame leaves with a source MAC that its sender, an endpoint,
 * does not own. The host, its bridges and macvlans of others send through the
 * parent too, so an unknown source alone is no violation: the sender must be
 * known as an endpoint, by its namespace or, less surely, by its address.
 */
#pragma once

#include "judge.h"

/* Whether a frame whose source has an owner comes from an endpoint other than it. */
static __always_inline bool spoof_owned(struct __sk_buff *skb, const struct frame *f,
					const struct endpoint *owner)
{
	struct finding found = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.way = EGRESS,
		.cookie = sender_cookie(skb),
		.owner = owner->slot,
	};

	if (!found.cookie || found.cookie == owner->cookie)
		return false;
	found.sender = sender_slot(f, found.cookie);
	if (!found.sender || found.sender == owner->slot)
		return false;
	found.counted = found.sender;
	violation(skb, f, &found);
	return true;
}

/* Judges a frame whose source no endpoint owns. */
static __always_inline void spoof_unowned(struct __sk_buff *skb, const struct frame *f)
{
	struct finding found = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.way = EGRESS,
		.cookie = sender_cookie(skb),
	};

	if (found.cookie) {
		found.sender = sender_slot(f, found.cookie);
	} else {
		found.certainty = SUSPECTED;
		found.evidence = SOURCE_ADDRESS;
		found.sender = address_slot(skb, f, SOURCE);
	}
	if (!found.sender)
		return;
	found.counted = found.sender;
	violation(skb, f, &found);
}
