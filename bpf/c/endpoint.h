/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Finding the endpoint that an address of a frame belongs to.
 */
#pragma once

#include "frame.h"
#include "layout.h"

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

static __always_inline bool filter_maybe(__u64 word)
{
	__u32 index = word * FILTER_FACTOR >> (64 - FILTER_BITS);
	const __u8 *maybe = bpf_map_lookup_elem(&filter, &index);

	return maybe && *maybe;
}

/* As endpoint_find, quick where there never was such an endpoint. */
static __always_inline const struct endpoint *endpoint_filter(const struct endpoint_key *key)
{
	struct endpoint_key bare;

	if (filter_maybe(*(const __u64 *)key)) /* MAC and VLAN */
		return endpoint_find(key);
	if (!key->vlan)
		return 0;
	bare = *key;
	bare.vlan = 0;
	return filter_maybe(*(const __u64 *)&bare) ? endpoint_find(&bare) : 0;
}
