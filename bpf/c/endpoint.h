/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Look-ups of the endpoint that has a frame's MAC.
 */
#pragma once

#include "frame.h"
#include "layout.h"
#include "table.h"
#include "unknown.h"

/*
 * Returns the endpoint of a key, or 0. An endpoint that is registered without a
 * VLAN also matches every VLAN in which no other endpoint has the MAC: an
 * interface on a trunk receives and sends tagged and untagged frames alike.
 */
static __always_inline const struct endpoint *endpoint_lookup(const struct endpoint_key *key)
{
	__u64 word = key_word(key);
	const struct endpoint *e = table_search(word, key->ifindex);

	if (e || !key->vlan)
		return e;
	return table_search(word_untagged(word), key->ifindex);
}

/*
 * Returns the endpoint that is the source of a frame on ingress, or 0 after
 * noting the unknown source.
 */
static __always_inline const struct endpoint *endpoint_source(const struct frame *f)
{
	const struct endpoint *e = endpoint_lookup(&f->from);

	if (!e)
		unknown_note(f, INGRESS);
	return e;
}
