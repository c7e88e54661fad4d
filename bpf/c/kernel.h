/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The kernel's own types, with the members that the programs read. CO-RE
 * relocates them to their offsets in the running kernel.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/*
 * True if the kernel has BTF and lets programs read its memory. It is set at
 * load time, so the verifier sees no such read on other kernels.
 */
volatile const bool have_kernel_types = false;

struct list_head___kernel {
	struct list_head___kernel *next;
} __attribute__((preserve_access_index));

struct net___kernel {
	__u64 net_cookie;
	struct list_head___kernel dev_base_head;
} __attribute__((preserve_access_index));

struct net_device___kernel {
	struct {
		struct net___kernel *net;
	} nd_net;
	struct list_head___kernel dev_list;
	const unsigned char *dev_addr;
	void *rx_handler_data;
} __attribute__((preserve_access_index));

struct sock___kernel {
	struct {
		struct {
			struct net___kernel *net;
		} skc_net;
	} __sk_common;
} __attribute__((preserve_access_index));

struct sk_buff___kernel {
	struct net_device___kernel *dev;
	struct sock___kernel *sk;
	__u8 ip_summed : 2;
	__u8 encapsulation : 1;
	__u32 csum; /* csum_start and csum_offset, of a checksum that is not written yet */
	__u16 inner_transport_header;
	__u16 mac_header;
	__u32 end; /* from head */
	unsigned char *head;
} __attribute__((preserve_access_index));

struct skb_shared_info___kernel {
	unsigned int gso_type;
} __attribute__((preserve_access_index));

/* Bits of gso_type (include/linux/skbuff.h). */
#define GSO_TCP (1U << 0 | 1U << 4)
#define GSO_UDP_FRAGMENTS (1U << 16)
#define GSO_UDP_SEGMENTS (1U << 17)

/* Returns gso_type, which determines how the kernel segments a super-packet. */
static __always_inline __u32 kernel_gso_type(struct __sk_buff *skb)
{
	const struct sk_buff___kernel *k = (const void *)skb;
	const struct skb_shared_info___kernel *shared;
	__u32 type = 0;

	shared = (const void *)(BPF_CORE_READ(k, head) + BPF_CORE_READ(k, end));
	bpf_core_read(&type, sizeof(type), &shared->gso_type);
	return type;
}

/* Returns the offset of the transport header inside a tunnel, or 0 if there is no tunnel. */
static __always_inline __u32 kernel_inner_transport(struct __sk_buff *skb)
{
	const struct sk_buff___kernel *k = (const void *)skb;

	if (!BPF_CORE_READ_BITFIELD_PROBED(k, encapsulation))
		return 0;
	return (__u16)(BPF_CORE_READ(k, inner_transport_header) - BPF_CORE_READ(k, mac_header));
}

/*
 * Makes a pointer one to a type of the kernel, which programs read without a call (6.2 and newer).
 * Without it each member costs a call of bpf_probe_read_kernel.
 */
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

/*
 * Returns the cookie of the namespace of a frame's socket, or 0 if it has none or
 * the kernel's types are unknown.
 */
static __always_inline __u64 kernel_sender_cookie(struct __sk_buff *skb)
{
	const struct sk_buff___kernel *k = (const void *)skb;
	const struct sock___kernel *sk;

	if (!have_kernel_types)
		return 0;
	if (!bpf_rdonly_cast)
		return BPF_CORE_READ(k, sk, __sk_common.skc_net.net, net_cookie);
	sk = bpf_rdonly_cast((const void *)(long)skb->sk, bpf_core_type_id_kernel(struct sock___kernel));
	return sk->__sk_common.skc_net.net->net_cookie;
}

#define SUMMED_LATER 3 /* CHECKSUM_PARTIAL in include/linux/skbuff.h */
#define NO_SUM (~0U)

/*
 * Returns the offset in the frame at which the kernel or the network card will write a
 * checksum behind the programs, or NO_SUM. A packet socket with PACKET_VNET_HDR chooses
 * the offset freely.
 */
static __always_inline __u32 kernel_sum_offset(struct __sk_buff *skb)
{
	const struct sk_buff___kernel *k = (const void *)skb;
	__u32 csum;

	if (!have_kernel_types)
		return NO_SUM;
	if (!bpf_rdonly_cast) {
		if (BPF_CORE_READ_BITFIELD_PROBED(k, ip_summed) != SUMMED_LATER)
			return NO_SUM;
		csum = BPF_CORE_READ(k, csum);
		return (__u16)((csum >> 16) + csum - BPF_CORE_READ(k, mac_header));
	}
	k = bpf_rdonly_cast(skb, bpf_core_type_id_kernel(struct sk_buff___kernel));
	if (BPF_CORE_READ_BITFIELD(k, ip_summed) != SUMMED_LATER)
		return NO_SUM;
	csum = k->csum;
	return (__u16)((csum >> 16) + csum - k->mac_header);
}
