/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The table of MACs. A key's hash is the index of its home, the first place of its
 * chain. The key is in the chain before its first empty place, or in the map
 * endpoints if no place of the chain is empty. bpf/table.go fills and frees places.
 */
#pragma once

#include "frame.h"
#include "layout.h"

/* Number of places of a chain. */
#define PLACE_PROBES 8

/* Turns the hash of a key into the index of its home. Set at load time. */
volatile const __u32 table_shift = 64 - 12;

/* Returns the first 8 bytes of a key: MAC and VLAN. */
static __always_inline __u64 key_word(const struct endpoint_key *key)
{
	return *(const __u64 *)key;
}

/* Returns the word of the same MAC without a VLAN. */
static __always_inline __u64 word_untagged(__u64 word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word << 16 >> 16;
#else
	return word >> 16 << 16;
#endif
}

static __always_inline __u32 place_home(__u64 word, __u32 ifindex)
{
	return (word + ((__u64)ifindex << 48)) * HASH_FACTOR >> table_shift;
}

/* Results of place_behind besides the index of a place. */
#define CHAIN_ENDS -1
#define CHAIN_FULL -2

/*
 * Searches a chain behind its home. Returns the index of the key's place, or one of
 * the numbers above. Functions that are not static are verified once, not for every
 * call.
 */
__noinline int place_behind(__u64 word, __u32 ifindex, __u32 home)
{
	const __u32 mask = (1U << (64 - table_shift)) - 1;
	const struct place *p;
	__u32 index;

	for (int i = 1; i < PLACE_PROBES; i++) {
		index = (home + i) & mask;
		p = bpf_map_lookup_elem(&places, &index);
		if (!p || !p->word)
			return CHAIN_ENDS;
		if (p->word == word && p->ifindex == ifindex)
			return index;
	}
	return CHAIN_FULL;
}

/* Searches a chain behind its home, and the map endpoints if the chain is full. */
static __noinline const struct endpoint *table_behind(__u64 word, __u32 ifindex, __u32 home)
{
	int found = place_behind(word, ifindex, home);
	struct endpoint_key key;
	const struct place *p;

	if (found == CHAIN_ENDS)
		return 0;
	if (found != CHAIN_FULL) {
		p = bpf_map_lookup_elem(&places, &found);
		return p ? &p->of : 0;
	}
	*(volatile __u64 *)&key = word;
	key.ifindex = ifindex;
	return bpf_map_lookup_elem(&endpoints, &key);
}

/*
 * Returns the endpoint of a key, given as its word and the rest, or 0. An
 * empty place is recognised before the comparison, as a frame may have the MAC 0.
 */
static __always_inline const struct endpoint *table_search(__u64 word, __u32 ifindex)
{
	__u32 home = place_home(word, ifindex);
	const struct place *p = bpf_map_lookup_elem(&places, &home);

	if (!p || !p->word)
		return 0;
	if (p->word == word && p->ifindex == ifindex)
		return &p->of;
	return table_behind(word, ifindex, home);
}
