/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Look-ups of the endpoint that has a frame's MAC.
 */
#pragma once

#include "frame.h"
#include "layout.h"
#include "unknown.h"

/*
 * Reports whether a frame on a trunk belongs to a VLAN with a sub-interface of
 * its own. The frame passes there too, and is counted there.
 */
static __always_inline bool vlan_owned(const struct frame *f)
{
	struct vlan_key key;

	if (!f->from.vlan)
		return false;
	key.ifindex = f->from.ifindex;
	key.vlan = f->from.vlan;
	return bpf_map_lookup_elem(&vlans, &key);
}

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
