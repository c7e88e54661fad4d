/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Counters of an endpoint's frames, and of the events and unknown sources that found
 * no room.
 */
#pragma once

#include "layout.h"

/*
 * Adds a frame to an endpoint's counters. A plain addition is exact, because the
 * counters are per CPU and the kernel runs TC programs with bottom halves disabled.
 */
static __always_inline void count_frame(__u32 slot, enum flow flow, enum scope scope,
					enum cast cast, const struct count *n)
{
	struct counters *all = bpf_map_lookup_elem(&counters, &slot);
	struct count *at;

	if (!all)
		return;
	at = &all->at[flow == RECEIVE ? (scope == LOCAL ? RECEIVE_LOCAL : RECEIVE_EXTERNAL) :
		      scope == LOCAL	   ? TRANSMIT_LOCAL :
					     TRANSMIT_EXTERNAL + cast];
	at->packets += n->packets;
	at->bytes += n->bytes;
}

static __always_inline void count_lost(enum lost loss)
{
	__u32 index = loss;
	__u64 *n = bpf_map_lookup_elem(&lost, &index);

	if (n)
		__sync_fetch_and_add(n, 1);
}
