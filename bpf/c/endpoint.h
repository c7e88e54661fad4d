/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Finding the endpoint that an address of a frame belongs to.
 */
#pragma once

#include "frame.h"
#include "layout.h"
#include "unknown.h"

/*
 * Whether a frame on a trunk is of a VLAN that has a sub-interface of its own,
 * where it passes too, and is counted.
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
 * The endpoint of a key. One that is registered without a VLAN has the frames
 * of all VLANs that no other has: an interface on a trunk gets what is for its
 * MAC, tagged or not, and tags as it likes.
 */
static __always_inline const struct endpoint *endpoint_find(const struct endpoint_key *key)
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
 * The endpoint that a frame on ingress has as its source, quick where there
 * never was such an endpoint; a stranger is noted.
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
