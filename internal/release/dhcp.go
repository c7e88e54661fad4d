package release

import (
	"context"
	"fmt"
	"sync"

	"berth/dhcp"
	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
)

// giveLeasesBack releases the DHCP leases that attachments hold and are to give back, all at once,
// and returns the numbers of messages by attachment. A lease that is not given back ends by
// itself, so an error is only logged.
//
// The messages come from the container's interface if a process or a mount holds its namespace,
// else from the parent, with the container's MAC: then only servers on the wire receive them. It
// needs CAP_NET_RAW, which the agent does not have.
func (r *Releaser) giveLeasesBack(ctx context.Context, all []*state.Attachment) map[string]dhcp.Counts {
	var wait sync.WaitGroup
	var mu sync.Mutex
	given := make(map[string]dhcp.Counts)
	for _, a := range all {
		clients := clientsToRelease(a)
		if len(clients) == 0 {
			continue
		}
		wait.Go(func() {
			counts := r.giveBack(ctx, a, clients)
			mu.Lock()
			defer mu.Unlock()
			given[a.Key()] = counts
		})
	}
	wait.Wait()
	return given
}

// clientsToRelease returns the clients of an attachment whose leases are to be given back.
func clientsToRelease(a *state.Attachment) (all []dhcp.Client) {
	if a.LinkIndex == 0 {
		return nil
	}
	for i := range a.DHCP {
		c := &a.DHCP[i]
		l := plumb.Lease(c)
		if l == nil || !c.Release {
			continue
		}
		if ends, ok := l.Ends(); !ok || exchange.Now() < ends {
			all = append(all, plumb.Client(a, c, nil))
		}
	}
	return all
}

// giveBack releases the leases of clients from the interface of an attachment, or from its parent,
// and returns the numbers of messages.
func (r *Releaser) giveBack(ctx context.Context, a *state.Attachment, clients []dhcp.Client) dhcp.Counts {
	counts := dhcp.Counts{}
	index := a.ParentIndex
	ns, err := network.FindVisibleNamespace(a.Cookie)
	if err == nil {
		defer ns.Close()
		index = a.LinkIndex
		if err := requireOwnLink(ns, a); err != nil {
			r.logger().Debug("leases not given back", "attachment", a.Key(), "error", err)
			return counts
		}
	}
	for _, c := range clients {
		address := c.Lease().Address
		if err := exchange.GiveBack(ctx, ns, index, a.MAC, c); err != nil {
			r.logger().Debug("lease not given back", "address", address, "error", err)
			continue
		}
		for kind, n := range c.Counts() {
			counts[kind] += n
		}
	}
	return counts
}

// requireOwnLink returns an error unless the link with the recorded index is the attachment's.
func requireOwnLink(ns *network.Namespace, a *state.Attachment) error {
	h, err := ns.Open()
	if err != nil {
		return err
	}
	link, err := h.LinkByIndex(a.LinkIndex)
	if err == nil && !isOurs(a, &link) {
		err = fmt.Errorf("interface %d of the container is %q, another one", a.LinkIndex, link.Name)
	}
	return err
}

// noteGivenBack records that the leases of an attachment were given back, so that the
// next start does not take them for its own.
func noteGivenBack(tx *state.Tx, a *state.Attachment, sent dhcp.Counts) error {
	if sent["release"] == 0 {
		return nil
	}
	for _, c := range a.DHCP {
		if c.Release && c.Memory != "" {
			if err := lease.NoteReturned(tx, c.Memory); err != nil {
				return err
			}
		}
	}
	return tx.AddDHCPMessages(sent)
}
