package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// setUp applies the IPv6 settings and the sysctls of the network, and then brings every interface up, still
// without other addresses than link-local ones.
func (a *attaching) setUp(ctx context.Context) error {
	for i, in := range a.plan.New {
		r := a.records[i]
		settings := ipv6Settings(in)
		if err := a.keepDefault(&settings, r); err != nil {
			return fmt.Errorf("interface %q: %w", r.Interface, err)
		}
		if err := a.ns.SetIPv6(r.Interface, settings); err != nil {
			return fmt.Errorf("interface %q: %w", r.Interface, err)
		}
		if err := a.ns.SetSysctls(r.Interface, in.Net.Sysctls); err != nil {
			return fmt.Errorf("interface %q: %w", r.Interface, err)
		}
		if token := r.IPv6Token; token.IsValid() {
			if err := a.inside.SetIPv6Token(r.LinkIndex, token); err != nil {
				return fmt.Errorf("interface %q: %w", r.Interface, err)
			}
		}
		if err := a.inside.WaitUp(ctx, a.host, r.LinkIndex); err != nil {
			return explainUp(r, err)
		}
	}
	return a.learnLinkLocals(ctx)
}

// keepDefault makes an interface with SLAAC take no default route from routers if the container has one
// of IPv6 already, or another interface of the plan gets it.
func (a *attaching) keepDefault(s *network.IPv6Settings, r *state.Attachment) error {
	if s.Static || s.Mode != specs.IPv6SLAAC && s.Mode != specs.IPv6DHCP {
		return nil
	}
	others, err := a.otherDefaults(r, netip.IPv6Unspecified())
	planned := slices.ContainsFunc(a.plan.New, func(in *Interface) bool { return in.Default[ipv6] })
	s.NoDefaultRoute = s.NoDefaultRoute || planned || len(others) > 0
	return err
}

// explainUp explains the kernel's refusal to bring an interface up.
func explainUp(r *state.Attachment, err error) error {
	var taken *network.MACHolderError
	if errors.As(err, &taken) {
		return fmt.Errorf("the MAC %s is in use on parent %q by %s; request another", r.MAC, r.Parent, taken.Holder)
	}
	return fmt.Errorf("interface %q: %w", r.Interface, err)
}

// ipv6Settings returns the IPv6 settings of an interface: static if it gets an
// IPv6 address, else those of the network.
func ipv6Settings(in *Interface) network.IPv6Settings {
	return network.IPv6SettingsOf(in.Net, len(in.Pools[ipv6]) > 0 || hasFamily(in.Static, ipv6))
}
