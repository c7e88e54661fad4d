package cni

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	result "github.com/containernetworking/cni/pkg/types/100"

	"berth/hook"
	"berth/internal/drift"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// checkAttachment returns an error if the interface is not as ADD made it. A later plugin may have
// added addresses and routes.
func (p *Plugin) checkAttachment(ctx context.Context, c *call) (any, error) {
	if c.invalid != nil {
		return nil, c.invalid
	}
	if c.PrevResult == nil {
		return nil, coded(codeConfiguration, errors.New("prevResult is missing; the runtime passes the result of ADD there"))
	}
	previous, err := c.previousResult()
	if err != nil {
		return nil, err
	}
	a, err := p.recorded(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := checkResult(c, a, previous); err != nil {
		return nil, coded(codeChanged, err)
	}
	return nil, checkKernel(c, a)
}

// recorded returns the attachment of the call, with its leases checked.
func (p *Plugin) recorded(ctx context.Context, c *call) (found *state.Attachment, err error) {
	err = p.Store.View(ctx, func(tx *state.Tx) error {
		all, err := tx.OfContainer(c.id)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, c.made)
		if i < 0 {
			return coded(codeChanged, fmt.Errorf("berth has no record of interface %q of container %q on network %q",
				c.ifname, c.id, c.Network))
		}
		found = all[i]
		return checkLeases(tx, found)
	})
	return found, err
}

// made reports whether an ADD with the same configuration has made an attachment.
func (c *call) made(a *state.Attachment) bool {
	return a.Interface == c.ifname && a.Network == c.Network && a.Door != nil && *a.Door == c.door() &&
		a.Phase == specs.PhaseAttached && !a.Leaving
}

// checkLeases requires that the addresses are still reserved for the attachment.
func checkLeases(tx *state.Tx, a *state.Attachment) error {
	for _, p := range a.Addresses {
		l, err := lease.In(tx, a.Domain()).Holder(p.Addr())
		if err != nil {
			return err
		}
		if l == nil || l.Owner != a.Key() {
			return coded(codeChanged, fmt.Errorf("address %q is no longer reserved for interface %q", p.Addr(), a.Interface))
		}
	}
	return nil
}

// checkResult compares the record with the result of ADD.
func checkResult(c *call, a *state.Attachment, r *result.Result) error {
	ours := func(i *result.Interface) bool { return i.Name == c.ifname && i.Sandbox == c.netNS }
	i := slices.IndexFunc(r.Interfaces, ours)
	if i < 0 {
		return fmt.Errorf("prevResult has no interface %q in %q", c.ifname, c.netNS)
	}
	if mac := r.Interfaces[i].Mac; mac != "" && mac != a.MAC.String() {
		return fmt.Errorf("prevResult has MAC %q for interface %q, which has %s", mac, c.ifname, a.MAC)
	}
	for _, ip := range r.IPs {
		if ip.Interface == nil || *ip.Interface != i {
			continue
		}
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		if !slices.ContainsFunc(a.Addresses, func(p netip.Prefix) bool { return p.Addr() == addr.Unmap() }) {
			return fmt.Errorf("prevResult has address %q for interface %q, which is not reserved for it",
				ip.Address.IP, c.ifname)
		}
	}
	return nil
}

// checkKernel compares the record with the interface in the namespace.
func checkKernel(c *call, a *state.Attachment) error {
	ns, err := network.OpenPath(c.netNS)
	if err != nil {
		return coded(codeNamespace, fmt.Errorf("%w of container %q: %w", hook.ErrNamespace, c.id, err))
	}
	defer ns.Close()
	cookie, err := ns.Cookie()
	if err != nil {
		return err
	}
	if cookie != a.Cookie {
		return coded(codeNamespace, fmt.Errorf("%w %q is not that in which interface %q was made",
			hook.ErrNamespace, c.netNS, c.ifname))
	}
	inside, err := ns.Open()
	if err != nil {
		return err
	}
	defer inside.Close()
	link, err := inside.LinkByName(a.Interface)
	if errors.Is(err, network.ErrNoLink) {
		return coded(codeChanged, fmt.Errorf("the container has no interface %q any more", a.Interface))
	}
	if err != nil {
		return err
	}
	if err := checkLink(a, &link); err != nil {
		return coded(codeChanged, err)
	}
	return checkAddressing(a, inside)
}

func checkLink(a *state.Attachment, l *network.LinkInfo) error {
	is, want := drift.Mode(a, l)
	switch {
	case drift.Another(a, l):
		return fmt.Errorf("interface %q is another than berth made", a.Interface)
	case is != want:
		return fmt.Errorf("interface %q is %s; it was made as %s", a.Interface, is, want)
	case !drift.MAC(a, l):
		return fmt.Errorf("interface %q has MAC %s; it was made with %s", a.Interface, l.MAC, a.MAC)
	case !l.Up:
		return fmt.Errorf("interface %q is down; set it up: ip link set %[1]s up", a.Interface)
	}
	return nil
}

// checkAddressing requires the recorded addresses and routes.
func checkAddressing(a *state.Attachment, inside *network.Handle) error {
	all, err := inside.AddressInfos()
	if err != nil {
		return err
	}
	here := slices.DeleteFunc(all, func(i network.AddressInfo) bool { return i.Index != a.LinkIndex })
	if missing, _ := drift.Addresses(a, here); len(missing) > 0 {
		return coded(codeChanged, fmt.Errorf("interface %q has no address %s any more", a.Interface, missing[0]))
	}
	routes, err := inside.Routes()
	if err != nil {
		return err
	}
	for _, want := range routesOf(a) {
		has := func(r network.RouteInfo) bool { return r.Index == a.LinkIndex && r.To == want.To && r.Via == want.Via }
		if !slices.ContainsFunc(routes, has) {
			return coded(codeChanged, fmt.Errorf("the container has no route to %s through interface %q any more",
				want.To, a.Interface))
		}
	}
	return nil
}

// routesOf returns the recorded routes, those by gateways included.
func routesOf(a *state.Attachment) []specs.Route {
	routes := slices.Clone(a.Routes)
	for _, gw := range a.Gateways {
		routes = append(routes, specs.Route{To: defaultOf(gw), Via: gw})
	}
	return routes
}
