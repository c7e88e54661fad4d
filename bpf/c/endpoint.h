/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Look-ups of the endpoint that has a frame's MAC.
 */
#pragma once

#include "frame.h"
#include "layout.h"
#include "unknown.h"

/*
 * Returns the endpoint of a key, or 0. An endpoint that is registered without a
 * VLAN also matches every VLAN in which no other endpoint has the MAC: an
 * interface on a trunk receives and sends tagged and untagged frames alike.
 */
static __always_inline const struct endpoint *endpoint_lookup(const struct endpoint_key *key)
{
	const struct endpoint *e = bpf_map_lookup_elem(&endpoints, key);
	struct endpoint_key bare;

	if (e || !key->vlan)
		return e;
	bare = *key;
	bare.vlan = 0;
	return bpf_map_lookup_elem(&endpoints, &bare);
}

/*
 * The same for functions that are verified by themselves: kernels before 6.6
 * accept no key of their arguments.
 */
static __always_inline const struct endpoint *endpoint_lookup_copy(const struct endpoint_key *key)
{
	struct endpoint_key copy = *key;

	return endpoint_lookup(&copy);
}

/*
 * Returns the endpoint that is the source of a frame on ingress, or 0 after
 * noting the unknown source. The filter makes this fast for sources that were
 * never an endpoint's.
 */
static __always_inline const struct endpoint *endpoint_source(const struct frame *f)
{
	struct filter *at = filter_at(&f->from);
	const struct endpoint *e = 0;
	struct endpoint_key bare;

	if (!at)
		return 0;
	if (at->endpoint)
		e = bpf_map_lookup_elem(&endpoints, &f->from);
	if (!e && f->from.vlan) {
		bare = f->from;
		bare.vlan = 0;
		e = bpf_map_lookup_elem(&endpoints, &bare);
	}
	if (!e)
		unknown_note(f, at, INGRESS);
	return e;
}
