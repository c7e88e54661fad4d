/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * Other macvlan interfaces of a container on the same parent, such as one of its
 * engine's own network: their MACs belong to the container too. They are searched
 * only before a frame counts as forged.
 */
#pragma once

#include "endpoint.h"
#include "frame.h"
#include "kernel.h"
#include "layout.h"

/*
 * Offsets in struct macvlan_port and struct macvlan_dev (drivers/net/macvlan.c),
 * which a module defines, so that the kernel's BTF lacks them. If the offsets are
 * wrong, the search finds no MAC.
 */
#define MACVLAN_HASH_BITS 8
#define MACVLAN_PORT_HASH 8 /* vlan_hash, after a pointer */
#define MACVLAN_DEV_HLIST 24 /* hlist, after three pointers, of which the first is to the net_device */
#define GOLDEN_RATIO_64 0x61c8864680b583ebULL /* include/linux/hash.h */

#define BUCKET_MAX 8
#define BUCKET_MAX_RARE 64 /* of own_cookie, for which no frame waits */
#define DEVICES_MAX 16

static __always_inline __u64 own_mac(const __u8 *mac)
{
	const __u16 *half = (const __u16 *)mac;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return ((__u64)half[0] << 16) | (__u64)half[1] << 32 | (__u64)half[2] << 48;
#else
	return (__u64)half[0] << 32 | (__u64)half[1] << 16 | half[2];
#endif
}

/* Returns the MAC of a device in the form of own_mac. */
static __always_inline __u64 own_mac_of(const struct net_device___kernel *dev)
{
	const unsigned char *at = BPF_CORE_READ(dev, dev_addr);
	__u8 mac[6] __attribute__((aligned(8))) = {};

	bpf_probe_read_kernel(mac, sizeof(mac), at);
	return own_mac(mac);
}

/* Returns the macvlan interface on the parent with a MAC, or 0, as macvlan_hash_lookup in the driver. */
static __always_inline const struct net_device___kernel *own_device(struct __sk_buff *skb, __u64 mac, int most)
{
	const struct sk_buff___kernel *k = (const void *)skb;
	const void *port = BPF_CORE_READ(k, dev, rx_handler_data), *node = 0;
	__u64 bucket = mac * GOLDEN_RATIO_64 >> (64 - MACVLAN_HASH_BITS);
	const struct net_device___kernel *dev;

	if (!port)
		return 0;
	bpf_probe_read_kernel(&node, sizeof(node), port + MACVLAN_PORT_HASH + bucket * sizeof(node));
	for (int i = 0; i < most && node; i++) {
		dev = 0;
		bpf_probe_read_kernel(&dev, sizeof(dev), node - MACVLAN_DEV_HLIST);
		if (dev && own_mac_of(dev) == mac)
			return dev;
		bpf_probe_read_kernel(&node, sizeof(node), node); /* next */
	}
	return 0;
}

/* Reports whether a device has the MAC with which the endpoint is registered. */
static __always_inline bool own_registered(const struct net_device___kernel *dev,
					   const struct frame *f, __u32 slot)
{
	struct endpoint_key key = { .vlan = f->from.vlan, .ifindex = f->from.ifindex };
	const unsigned char *at = BPF_CORE_READ(dev, dev_addr);
	const struct endpoint *e;

	bpf_probe_read_kernel(key.mac, sizeof(key.mac), at);
	e = endpoint_lookup(&key);
	return e && e->is.slot == slot;
}

/*
 * Reports whether the source MAC of a frame belongs to another macvlan interface
 * of the sender. It returns false if no interface of the namespace has the
 * registered MAC any more: then the interface with the source MAC may be the
 * endpoint's own with a changed MAC, and the frame is forged. For an observed endpoint
 * it returns true if the source MAC is of an interface in its namespace, or of one that is
 * no endpoint: the observed interface may have changed its MAC, or an interface that the
 * agent does not know yet may have its address.
 */
__noinline int own_other(struct __sk_buff *skb, const struct frame *f, const struct party *sender)
{
	const struct net_device___kernel *dev;
	const struct list_head___kernel *at, *head;
	const struct net___kernel *net;

	if (!have_kernel_types || !f || !sender)
		return false;
	dev = own_device(skb, own_mac(f->from.mac), BUCKET_MAX);
	if (!dev)
		return false;
	if (sender->flags & ENDPOINT_OBSERVED && !endpoint_lookup(&f->from))
		return true; /* it has changed its MAC, or its successor has its address */
	net = BPF_CORE_READ(dev, nd_net.net);
	if (!sender->ns || (__u16)BPF_CORE_READ(net, net_cookie) != sender->ns)
		return false;
	if (sender->flags & ENDPOINT_OBSERVED)
		return true;
	head = __builtin_preserve_access_index(&net->dev_base_head);
	at = BPF_CORE_READ(head, next);
	for (int i = 0; i < DEVICES_MAX && at != head; i++) {
		dev = (const void *)at - bpf_core_field_offset(struct net_device___kernel, dev_list);
		if (own_registered(dev, f, sender->slot))
			return true;
		at = BPF_CORE_READ(at, next);
	}
	return false;
}

/* Returns the cookie of the namespace that the macvlan interface with a frame's source MAC is in, or 0. */
static __always_inline __u64 own_cookie(struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(8)));
	const struct net_device___kernel *dev;

	if (!have_kernel_types || bpf_skb_load_bytes(skb, ETH_ALEN, mac, sizeof(mac)))
		return 0;
	dev = own_device(skb, own_mac(mac), BUCKET_MAX_RARE);
	return dev ? BPF_CORE_READ(dev, nd_net.net, net_cookie) : 0;
}
