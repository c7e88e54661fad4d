package exchange

import (
	"context"
	"fmt"
	"slices"
	"time"

	"berth/dhcp"
	"berth/specs"
)

// Offer is the answer of a DHCP server to a DISCOVER or a Solicit.
type Offer struct {
	Server string // its identifier and the MAC of its message
	Lease  *dhcp.Lease
	Err    error // why a container would refuse the offer; Lease is nil
}

// Asker is a client that reads offers, [dhcp.Client4] or [dhcp.Client6].
type Asker interface {
	dhcp.Client
	Offer(dhcp.Packet) (l *dhcp.Lease, ok bool, err error)
}

// further is the time for which more offers are awaited after the first.
const further = 500 * time.Millisecond

// Discover asks the servers behind a port for an offer, takes none, and returns the
// offers: those until the context ends, or until shortly after the first. A server that answers
// several DISCOVERs, because it pings before its first offer, counts once, with its last offer.
func Discover(ctx context.Context, p *Port, c Asker) (all []Offer, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := c.Start(Now(), dhcp.Memory{})
	for {
		for _, a := range todo {
			if err := p.Send(a); err != nil {
				return all, err
			}
		}
		until := time.Now().Add(time.Hour)
		if at, ok := c.Wake(); ok {
			until = time.Now().Add(at - Now())
		}
		todo = nil
		found, err := p.Receive(ctx, until)
		switch {
		case ctx.Err() != nil:
			return all, nil
		case err == errNothing:
			if len(all) == 0 {
				todo = c.Tick(Now())
			}
		case err != nil:
			return all, err
		default:
			l, ok, err := c.Offer(found)
			if !ok {
				continue
			}
			if len(all) == 0 {
				time.AfterFunc(further, cancel)
			}
			all = addOffer(all, Offer{serverText(found.MAC, found, l), l, err})
		}
	}
}

// addOffer adds an offer in place of an earlier one of the same server.
func addOffer(all []Offer, o Offer) []Offer {
	if i := slices.IndexFunc(all, func(before Offer) bool { return before.Server == o.Server }); i >= 0 {
		all[i] = o
		return all
	}
	return append(all, o)
}

func serverText(mac specs.MAC, p dhcp.Packet, l *dhcp.Lease) string {
	if l != nil && l.Server.IsValid() {
		return fmt.Sprintf("%s (%s)", l.Server, mac)
	}
	return fmt.Sprintf("%s (%s)", p.From, mac)
}
