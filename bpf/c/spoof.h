/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * mac-spoof: a frame has a source MAC that its sender, an endpoint, does not
 * own. The host, its bridges and macvlans of others send through the parent
 * too, so an unknown source alone is no violation: the sender must be known as
 * an endpoint, by its namespace or, less surely, by its address.
 */
#pragma once

#include "judge.h"

enum spoof { SPOOF_NONE, SPOOF_FLAGGED, SPOOF_DROPPED };

/* Whether a frame whose source has an owner comes from an endpoint other than it. */
static __always_inline enum spoof spoof_owned(struct __sk_buff *skb, const struct frame *f,
					      const struct endpoint *owner, enum way way)
{
	struct finding found = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.way = way,
		.cookie = sender_cookie(skb),
		.owner = owner->is.slot,
	};
	const struct party *sender;

	if (!found.cookie || found.cookie == owner->cookie)
		return SPOOF_NONE;
	sender = sender_party(f, found.cookie);
	if (!sender || sender->slot == owner->is.slot)
		return SPOOF_NONE;
	found.sender = sender->slot;
	return breaks(skb, f, sender, &found) ? SPOOF_DROPPED : SPOOF_FLAGGED;
}

/* Judges a frame whose source no endpoint owns; whether it is to be dropped. */
static __always_inline bool spoof_unowned(struct __sk_buff *skb, const struct frame *f, enum way way)
{
	struct finding found = {
		.kind = MAC_SPOOF,
		.certainty = CERTAIN,
		.evidence = NETNS_COOKIE,
		.way = way,
		.cookie = sender_cookie(skb),
	};
	const struct party *sender;

	if (found.cookie) {
		sender = sender_party(f, found.cookie);
	} else {
		found.certainty = SUSPECTED;
		found.evidence = SOURCE_ADDRESS;
		sender = address_party(skb, f, SOURCE);
	}
	if (!sender)
		return false;
	found.sender = sender->slot;
	return breaks(skb, f, sender, &found);
}
