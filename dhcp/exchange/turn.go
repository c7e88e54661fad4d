package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/dhcp"
)

// Turn carries out actions of a client and passes received messages and timers to it, until
// finished returns true or the context ends. handle carries out all actions but Send, and
// returns the actions that follow from them. A message that cannot be sent is not fatal,
// because the client sends it again; unsent is the last error.
func Turn(ctx context.Context, p *Port, c dhcp.Client, first []dhcp.Action,
	handle func(dhcp.Action) ([]dhcp.Action, error), finished func() bool) (unsent, err error) {
	todo := first
	for {
		for len(todo) > 0 {
			a := todo[0]
			todo = todo[1:]
			if a.Kind == dhcp.Send {
				unsent = p.Send(a)
				continue
			}
			more, err := handle(a)
			if err != nil {
				return unsent, err
			}
			todo = append(todo, more...)
		}
		if finished() {
			return unsent, nil
		}
		until := time.Now().Add(time.Hour)
		if at, ok := c.Wake(); ok {
			until = time.Now().Add(at - Now())
		}
		found, err := p.Receive(ctx, until)
		switch {
		case ctx.Err() != nil:
			return unsent, context.Cause(ctx)
		case errors.Is(err, errNothing):
			todo = c.Tick(Now())
		case err != nil:
			return unsent, err
		default:
			todo = c.Receive(Now(), found)
		}
	}
}

// ErrNoAnswer is wrapped if no server leased an address in time.
var ErrNoAnswer = errors.New("no address from a DHCP server")

// ErrUnmanaged is returned if the router announces that addresses are not available
// by DHCPv6.
var ErrUnmanaged = errors.New("the router announces no addresses by DHCPv6 (its flag M is not set)")

// Acquire runs a client until it has a lease whose address is free, and accepts it.
// free probes for the address. With ErrUnmanaged it may return a lease without an
// address. If the context ends first, the error wraps ErrNoAnswer and describes the
// exchanged messages.
func Acquire(ctx context.Context, p *Port, c dhcp.Client, m dhcp.Memory,
	free func(context.Context, *dhcp.Lease) (bool, error)) (*dhcp.Lease, error) {
	var got, probed *dhcp.Lease
	unmanaged := false
	handle := func(a dhcp.Action) ([]dhcp.Action, error) {
		switch a.Kind {
		case dhcp.Unmanaged:
			got, unmanaged = a.Lease, true
		case dhcp.Obtained:
			probed = a.Lease
			ok, err := free(ctx, a.Lease)
			if err != nil {
				return nil, err
			}
			if probed = nil; !ok {
				return c.Decline(Now()), nil
			}
			got = a.Lease
			return c.Accept(Now()), nil
		}
		return nil, nil
	}
	began := time.Now()
	unsent, err := Turn(ctx, p, c, c.Start(Now(), m), handle, func() bool { return got != nil || unmanaged })
	switch {
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("%w within %s: %s", ErrNoAnswer, time.Since(began).Round(100*time.Millisecond), account(c, probed))
		if unsent != nil {
			err = fmt.Errorf("%w (%w)", err, unsent)
		}
		return nil, err
	case err != nil:
		return nil, err
	case unmanaged:
		return got, ErrUnmanaged
	}
	return got, nil
}

// account describes the messages of a client that got no lease. probed is the lease whose
// probe has not ended, or nil.
func account(c dhcp.Client, probed *dhcp.Lease) string {
	var all []string
	for _, name := range sortedKeys(c.Counts()) {
		all = append(all, fmt.Sprintf("%d %s", c.Counts()[name], strings.ToUpper(name)))
	}
	text := "messages: " + strings.Join(all, ", ")
	seen := slices.Clone(c.Seen())
	if probed != nil {
		seen = append(seen, fmt.Sprintf("%s leased %s, and the time ended during the probe for it",
			probed.Server, probed.Address))
	}
	if len(seen) == 0 {
		seen = []string{"no server answered"}
	}
	return text + "; " + strings.Join(seen, "; ")
}

func sortedKeys(m dhcp.Counts) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
