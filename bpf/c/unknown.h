/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Unknown source MACs: those that belong to no endpoint. Each is noted once an
 * epoch, and new ones on a budget, so that a flood of forged MACs costs little
 * more than the machines of a quiet LAN. If two share an element of the filter,
 * whichever sends first in an epoch is noted.
 */
#pragma once

#include "count.h"
#include "frame.h"
#include "layout.h"
#include "table.h"

/* Each CPU adds at most BUDGET entries in BUDGET_NS. */
#define BUDGET 256
#define BUDGET_NS 100000000ULL

/* Returns the element of a source, given as the word of its key. */
static __always_inline struct filter *filter_at(__u64 word)
{
	__u32 index = word * HASH_FACTOR >> (64 - FILTER_BITS);

	return bpf_map_lookup_elem(&filter, &index);
}

/* Reports whether an unknown source was noted in this epoch. */
static __always_inline bool unknown_noted(__u64 word, enum direction direction)
{
	const struct filter *at = filter_at(word);
	__u32 zero = 0;
	const __u32 *now = bpf_map_lookup_elem(&epoch, &zero);

	return at && now && at->seen[direction] == *now;
}

static __always_inline bool budget_take(__u64 now)
{
	__u32 zero = 0;
	struct budget *b = bpf_map_lookup_elem(&budget, &zero);

	if (!b)
		return false;
	if (now - b->since >= BUDGET_NS) {
		b->since = now;
		b->used = 0;
	}
	return b->used++ < BUDGET;
}

/* Reports whether the source belongs to the host or to an endpoint, in the frame's VLAN or without one. */
static __always_inline bool unknown_owned(const struct frame *f)
{
	__u64 word = key_word(&f->from);

	return table_search(word, f->from.ifindex) ||
	       table_search(word_untagged(word), f->from.ifindex);
}

/* Notes an unknown source. Returns false if the budget was spent, so that the caller tries again. */
static __noinline bool unknown_insert(const struct frame *f, enum direction direction)
{
	struct unknown *known = bpf_map_lookup_elem(&unknown, &f->from);
	__u64 now = bpf_ktime_get_coarse_ns();
	struct unknown fresh = { .first = now, .last = now, .ways = 1 << direction };

	if (known) {
		known->last = now;
		known->ways |= 1 << direction;
		return true;
	}
	if (f->from.mac[0] & 1 || unknown_owned(f))
		return true;
	if (!budget_take(now)) {
		count_lost(LOST_UNKNOWN);
		return false;
	}
	if (bpf_map_update_elem(&unknown, &f->from, &fresh, BPF_NOEXIST))
		count_lost(LOST_UNKNOWN);
	return true;
}

/* Notes the unknown source of a frame once an epoch. */
static __always_inline void unknown_note(const struct frame *f, enum direction direction)
{
	struct filter *at = filter_at(key_word(&f->from));
	__u32 zero = 0;
	__u32 *now = bpf_map_lookup_elem(&epoch, &zero);

	if (!at || !now || at->seen[direction] == *now)
		return;
	if (unknown_insert(f, direction))
		at->seen[direction] = *now;
}
