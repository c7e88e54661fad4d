/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The copies of a group frame. In mode bridge the driver makes those for siblings
 * before the frame reaches the parent's egress (macvlan_broadcast in
 * drivers/net/macvlan.c), also if the sender bypasses its sibling program
 * (PACKET_QDISC_BYPASS, AF_XDP). A copy has neither a socket nor a mark of its sender.
 * So the parent's program, which knows the sender, notes each group frame that it drops,
 * and the receiver program, on the interface of each sibling, drops the copies of noted
 * frames. They wait in the processor's backlog until the parent's program has returned.
 *
 * Frames are noted by a hash of their bytes. It is keyed, so that no container can make
 * an allowed frame with the hash of a forged one.
 */
#pragma once

#include "frame.h"
#include "judge.h"
#include "layout.h"

#define HASHED_WORDS 8 /* at a time */
#define HASHED_BYTES 512 /* at most */

static __always_inline __u64 copy_mix(const struct drops *d, __u64 hash, __u64 word)
{
	hash = (hash ^ word) * (d->keys[0] | 1);
	hash ^= hash >> 32;
	return (hash ^ d->keys[2]) * (d->keys[1] | 1);
}

/* Returns the VLAN tag of a frame, which receivers move out of the data. Sets the offset behind it. */
static __always_inline __u64 copy_tag(struct __sk_buff *skb, __u32 *offset)
{
	__be16 head[2] = {};

	*offset = 2 * ETH_ALEN;
	if (skb->vlan_present)
		return (__u64)bpf_htons(skb->vlan_tci) << 16 | skb->vlan_proto;
	if (bpf_skb_load_bytes(skb, 2 * ETH_ALEN, head, sizeof(head)) || !frame_tagged(head[0]))
		return 0;
	*offset += VLAN_HLEN;
	return (__u64)head[1] << 16 | head[0];
}

/*
 * Returns the hash of a frame, the same for all copies of it, also if the sender still writes to
 * its pages: it is of the linear memory (frame_settled).
 */
__noinline __u64 copy_hash(struct __sk_buff *skb, const struct drops *d)
{
	__u64 hash, word[HASHED_WORDS] = {};
	__u32 offset, length = frame_linear(skb), more;

	if (!d || bpf_skb_load_bytes(skb, 0, word, 2 * ETH_ALEN))
		return 0;
	hash = copy_mix(d, word[0], word[1]);
	hash = copy_mix(d, hash, copy_tag(skb, &offset));
	hash = copy_mix(d, hash, skb->len - offset);
	for (int i = 0; i < HASHED_BYTES / (int)sizeof(word) && offset < length; i++) {
		more = length - offset - 1;
		if (more >= sizeof(word))
			more = sizeof(word) - 1;
		barrier_var(more); /* the verifier of 6.1 must see the bounds of this very register */
		more &= sizeof(word) - 1;
		barrier_var(more);
		__builtin_memset(word, 0, sizeof(word));
		if (bpf_skb_load_bytes(skb, offset, word, more + 1))
			break;
		for (int at = 0; at < HASHED_WORDS; at++)
			hash = copy_mix(d, hash, word[at]);
		offset += sizeof(word);
	}
	return hash;
}

static __always_inline struct drops *drops_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&drops, &zero);
}

/*
 * Notes the hash of a group frame that a program on a parent drops, so that the receiver
 * program drops its copies. If a frame with the same bytes passes, from another sender, its
 * note is deleted, so that its copies pass. The note of a frame that is not hashed to its end
 * stays: the two may be equal only in the part that is hashed.
 */
__noinline int copies_update(struct __sk_buff *skb, bool dropped)
{
	struct drops *d = drops_now();
	__u32 now;
	__u64 hash;

	if (!d || (!dropped && !ticks_recent(d->last)))
		return 0;
	hash = copy_hash(skb, d);
	if (dropped) {
		now = ticks_now();
		bpf_map_update_elem(&dropped_frames, &hash, &now, BPF_ANY);
		d->last = now;
	} else if (frame_linear(skb) >= skb->len && skb->len <= HASHED_BYTES &&
		   bpf_map_lookup_elem(&dropped_frames, &hash)) {
		bpf_map_delete_elem(&dropped_frames, &hash);
	}
	return 0;
}

/* Reports whether a frame is a copy of one that a program on a parent has dropped. */
static __always_inline bool copy_dropped(struct __sk_buff *skb)
{
	const struct drops *d = drops_now();
	const __u32 *when;
	__u64 hash;

	if (!d || !ticks_recent(d->last))
		return false;
	hash = copy_hash(skb, d);
	when = bpf_map_lookup_elem(&dropped_frames, &hash);
	return when && ticks_recent(*when);
}
