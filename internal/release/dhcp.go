package release

import (
	"errors"
	"fmt"

	"berth/dhcp"
	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
)

// sendReleases sends the RELEASE of each lease that an attachment holds and is to give
// back, and returns the number of those sent. A server sends no answer, and a lease
// that is not given back ends by itself, so an error is only logged.
//
// The message comes from the container's interface if a process is in its namespace,
// else from the parent, with the container's MAC: then only servers on the wire
// receive it. It needs CAP_NET_RAW, which the agent does not have.
func (r *Releaser) sendReleases(a *state.Attachment) (sent int) {
	for i := range a.DHCP {
		c := &a.DHCP[i]
		l := plumb.Lease(c)
		if l == nil || !c.Release || a.LinkIndex == 0 {
			continue
		}
		if ends, ok := l.Ends(); ok && exchange.Now() >= ends {
			continue
		}
		send, err := dhcp.ReleaseOf(l, a.MAC)
		if err == nil {
			err = sendFrom(a, send)
		}
		if err != nil {
			r.logger().Debug("lease not given back", "address", l.Address, "error", err)
			continue
		}
		sent++
	}
	return sent
}

// sendFrom sends a message from the interface of an attachment, or from its parent.
func sendFrom(a *state.Attachment, send dhcp.Action) error {
	ns, err := network.FindNamespace(a.Cookie)
	if err != nil {
		return exchange.SendOnce(a.ParentIndex, a.MAC, send)
	}
	err = func() error {
		h, err := ns.Open()
		if err != nil {
			return err
		}
		link, err := h.LinkByIndex(a.LinkIndex)
		if err != nil {
			return err
		}
		if !isOurs(a, &link) {
			return fmt.Errorf("interface %d of the container is %q, another one", a.LinkIndex, link.Name)
		}
		return ns.Do(func() error { return exchange.SendOnce(a.LinkIndex, a.MAC, send) })
	}()
	return errors.Join(err, ns.Close())
}

// noteGivenBack records that the leases of an attachment were given back, so that the
// next start does not take them for its own.
func noteGivenBack(tx *state.Tx, a *state.Attachment, sent int) error {
	if sent == 0 {
		return nil
	}
	for _, c := range a.DHCP {
		if c.Release && c.Memory != "" {
			if err := lease.NoteReturned(tx, c.Memory); err != nil {
				return err
			}
		}
	}
	return tx.AddDHCPMessages(map[string]uint64{"release": uint64(sent)})
}
