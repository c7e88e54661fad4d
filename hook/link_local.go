package hook

import (
	"context"
	"fmt"
	"net/netip"

	"berth/internal/state"
	"berth/specs"
)

// expectedLinkLocal returns the IPv6 link-local address that the kernel will give an interface, in the
// form of the record, so that the datapath knows it before the interface's first frame. That of an
// ipvlan interface is known only once it is up. In mode passthru the host has the same MAC, so
// the same address: the datapath accepts any there.
func expectedLinkLocal(in *Interface, r *state.Attachment) netip.Addr {
	switch {
	case r.Mode == specs.ModePassthru:
		return netip.Addr{}
	case ipv6Settings(in).Off():
		return netip.IPv6Unspecified()
	case r.Driver == specs.IPvlan:
		return netip.Addr{}
	}
	return r.MAC.LinkLocal()
}

// learnLinkLocals corrects the link-local addresses of the interfaces that are up: the kernel gives
// an interface another one than expected if it is ipvlan, or if the container's
// net.ipv6.conf.default.addr_gen_mode or stable_secret says so. An interface without carrier has
// none yet.
func (a *attaching) learnLinkLocals(ctx context.Context) error {
	for i, in := range a.plan.New {
		r := a.records[i]
		if r.Mode == specs.ModePassthru || ipv6Settings(in).Off() {
			continue
		}
		found, err := a.inside.LinkLocal(r.LinkIndex)
		if err != nil {
			return fmt.Errorf("interface %q: %w", r.Interface, err)
		}
		if !found.IsValid() || found == r.LinkLocal {
			continue
		}
		before := *r
		r.LinkLocal = found
		if err := a.reregisterEndpoint(ctx, &before, r); err != nil {
			return err
		}
	}
	return nil
}
