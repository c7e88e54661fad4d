/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Counting: frames of an endpoint, and lost events and unknown sources.
 */
#pragma once

#include "layout.h"

/*
 * Adds a frame to an endpoint's counters. A plain addition is exact, because the
 * counters are per CPU and both hooks run with bottom halves disabled.
 */
static __always_inline void count_frame(__u32 slot, enum direction direction, enum scope scope,
					enum cast cast, const struct count *n)
{
	struct counters *all = bpf_map_lookup_elem(&counters, &slot);
	struct count *at;

	if (!all)
		return;
	at = &all->at[direction == RECEIVE ? (scope == LOCAL ? RECEIVE_LOCAL : RECEIVE_EXTERNAL) :
		      scope == LOCAL	   ? TRANSMIT_LOCAL :
					     TRANSMIT_EXTERNAL + cast];
	at->packets += n->packets;
	at->bytes += n->bytes;
}

static __always_inline void count_lost(__u32 kind)
{
	__u64 *n = bpf_map_lookup_elem(&lost, &kind);

	if (n)
		__sync_fetch_and_add(n, 1);
}
