package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"berth/specs"
)

// IPv6Settings are the IPv6 settings of an interface.
type IPv6Settings struct {
	Mode   specs.IPv6
	Static bool // it gets addresses of an IPv6 subnet and no others; Mode is ignored

	NoDefaultRoute bool // with SLAAC: no router becomes the default route
}

// Off reports whether the interface has no IPv6.
func (s IPv6Settings) Off() bool { return !s.Static && s.Mode == specs.IPv6Off }

// IPv6SettingsOf returns the IPv6 settings of an interface of a network. static is
// true if it gets addresses of an IPv6 subnet.
func IPv6SettingsOf(n *specs.Network, static bool) IPv6Settings {
	return IPv6Settings{Mode: n.IPv6, Static: static, NoDefaultRoute: n.DefaultRoute != nil && !*n.DefaultRoute}
}

// ipv6Sysctls returns the sysctls that SetIPv6 writes, in order
// (Documentation/networking/ip-sysctl.rst).
func ipv6Sysctls(ifname string, s IPv6Settings) []sysctl {
	dir := "ipv6/conf/" + ifname + "/"
	quiet := []sysctl{ // a link-local address; router advertisements are ignored
		{dir + "accept_ra", "0"},
		{dir + "autoconf", "0"},
		{dir + "disable_ipv6", "0"},
	}
	switch {
	case s.Static, s.Mode == specs.IPv6LinkLocal:
		return quiet
	case s.Mode == specs.IPv6SLAAC, s.Mode == specs.IPv6DHCP: // routes, and addresses of prefixes with the flag A
		defaultRoute := "1"
		if s.NoDefaultRoute {
			defaultRoute = "0"
		}
		return []sysctl{
			{dir + "accept_ra", "2"}, // 2 accepts them even if the container forwards
			{dir + "accept_ra_defrtr", defaultRoute},
			{dir + "autoconf", "1"},
			{dir + "router_solicitation_delay", "0"},
			{dir + "disable_ipv6", "0"},
		}
	}
	return []sysctl{{dir + "disable_ipv6", "1"}}
}

// SetIPv6 applies the IPv6 settings of an interface. The interface must still be
// down, or it sends frames of its own. Errors: [ErrNoLink], [ErrUnsupported] if IPv6
// is requested and the kernel, or an interface with an MTU below 1280, has none.
func (n *Namespace) SetIPv6(ifname string, s IPv6Settings) error {
	if err := specs.CheckInterfaceName(ifname); err != nil { // the name becomes part of a path
		return err
	}
	if s.Mode == specs.IPv6DHCP && !s.Static {
		// A server's first reply finds the link-local address while the kernel still probes for
		// it (RFC 4429). Without it, or in a kernel without the setting, the reply is a second late.
		_ = n.writeSysctls([]sysctl{{"ipv6/conf/" + ifname + "/optimistic_dad", "1"}})
	}
	err := n.writeSysctls(ipv6Sysctls(ifname, s))
	if errors.Is(err, ErrNoLink) {
		if why := n.Do(func() error { return withoutIPv6(ifname) }); why != nil {
			err = why
		}
	}
	if s.Off() && errors.Is(err, ErrUnsupported) {
		return nil // off was requested
	}
	if err != nil {
		return fmt.Errorf("set IPv6 of interface %q: %w", ifname, err)
	}
	return nil
}

// CheckIPv6 returns the reason, an [ErrUnsupported], if the kernel has no IPv6.
func CheckIPv6() error {
	if _, err := os.Stat("/proc/sys/net/ipv6/conf"); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if text, err := os.ReadFile("/sys/module/ipv6/parameters/disable"); err == nil &&
		strings.TrimSpace(string(text)) == "1" {
		return fmt.Errorf("%w: IPv6 is switched off (ipv6.disable=1 on the kernel's command line, or of its module)",
			ErrUnsupported)
	}
	return fmt.Errorf("%w: this kernel has no IPv6 (CONFIG_IPV6, or its module is not loaded)", ErrUnsupported)
}

// withoutIPv6 returns the reason for which an interface of the calling thread's
// namespace has no IPv6, or nil if the interface does not exist. Below an MTU of 1280
// (RFC 8200, section 5) the kernel removes IPv6 from it (net/ipv6/addrconf.c,
// addrconf_notify); its IPv4 settings stay down to 68.
func withoutIPv6(ifname string) error {
	if err := CheckIPv6(); err != nil {
		return err
	}
	if _, err := os.Stat("/proc/sys/net/ipv4/conf/" + ifname); err == nil {
		return fmt.Errorf("%w: IPv6 with an MTU below 1280", ErrUnsupported)
	}
	return nil
}
