/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * The interface that the sibling program is on, and its endpoint.
 */
#pragma once

#include "frame.h"
#include "kernel.h"
#include "layout.h"

/*
 * Returns the cookie of the interface's namespace. Newer kernels have a helper
 * for a socket's namespace, but ARP frames have no socket.
 */
static __always_inline __u64 interface_cookie(struct __sk_buff *skb)
{
	struct net_device___kernel *dev = 0;
	struct net___kernel *net = 0;
	__u64 cookie = 0;

	bpf_core_read(&dev, sizeof(dev), &((struct sk_buff___kernel *)skb)->dev);
	bpf_core_read(&net, sizeof(net), &dev->nd_net.net);
	bpf_core_read(&cookie, sizeof(cookie), &net->net_cookie);
	return cookie;
}

/* Copies the party of the interface's endpoint. Returns false if it is not registered. */
static __always_inline bool inside_party(const struct inside *at, __u64 cookie, struct party *from)
{
	struct namespace_key key = { .cookie = cookie, .ifindex = at->parent };
	const struct party *known = bpf_map_lookup_elem(&namespaces, &key);

	if (!known)
		return false;
	*from = *known;
	from->slot = at->slot; /* the namespace may have several endpoints */
	return true;
}
