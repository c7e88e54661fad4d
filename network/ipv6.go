package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// IPv6Settings is what an interface does about IPv6.
type IPv6Settings struct {
	Mode   specs.IPv6
	Static bool // it gets addresses of an IPv6 subnet: no others, and Mode is not looked at
}

// A sysctl is a file below /proc/sys/net and its value.
type sysctl struct{ path, value string }

// ipv6Sysctls returns what SetIPv6 writes, in order (Documentation/networking/ip-sysctl.rst).
func ipv6Sysctls(ifname string, s IPv6Settings) []sysctl {
	dir := "ipv6/conf/" + ifname + "/"
	quiet := []sysctl{ // a link-local address, and nothing that a router says
		{dir + "accept_ra", "0"},
		{dir + "autoconf", "0"},
		{dir + "disable_ipv6", "0"},
	}
	switch {
	case s.Static, s.Mode == specs.IPv6LinkLocal:
		return quiet
	case s.Mode == specs.IPv6SLAAC:
		return []sysctl{
			{dir + "accept_ra", "2"}, // also where the container forwards
			{dir + "autoconf", "1"},
			{dir + "router_solicitation_delay", "0"},
			{dir + "disable_ipv6", "0"},
		}
	}
	return []sysctl{{dir + "disable_ipv6", "1"}}
}

// SetIPv6 sets what an interface does about IPv6. It must be done before the
// interface is up, or it sends frames of its own. Errors: [ErrNoLink],
// [ErrUnsupported] when IPv6 is asked for and the kernel, or an interface with an
// MTU below 1280, has none.
func (n *Namespace) SetIPv6(ifname string, s IPv6Settings) error {
	if err := specs.CheckInterfaceName(ifname); err != nil { // it becomes part of a path
		return err
	}
	off := !s.Static && s.Mode == specs.IPv6Off
	err := n.Do(func() error {
		err := writeSysctls(ipv6Sysctls(ifname, s))
		if why := withoutIPv6(ifname); errors.Is(err, ErrNoLink) && why != nil {
			err = why
		}
		return err
	})
	if off && errors.Is(err, ErrUnsupported) {
		return nil // as asked for
	}
	if err != nil {
		return fmt.Errorf("set IPv6 of %q: %w", ifname, err)
	}
	return nil
}

// withoutIPv6 says why an interface of the calling thread's namespace has no
// IPv6 at all, nil where there is no interface. Below an MTU of 1280 (RFC 8200,
// section 5) the kernel takes IPv6 away from it (net/ipv6/addrconf.c,
// addrconf_notify); its IPv4 settings stay down to 68.
func withoutIPv6(ifname string) error {
	if _, err := os.Stat("/proc/sys/net/ipv6"); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: IPv6 (CONFIG_IPV6)", ErrUnsupported)
	}
	if _, err := os.Stat("/proc/sys/net/ipv4/conf/" + ifname); err == nil {
		return fmt.Errorf("%w: IPv6 with an MTU below 1280", ErrUnsupported)
	}
	return nil
}

// writeSysctls writes in the namespace of the calling thread.
func writeSysctls(all []sysctl) error {
	for _, s := range all {
		err := writeSysctl(s)
		if isErrno(err, unix.ENOENT) {
			err = fmt.Errorf("%w (%w)", ErrNoLink, err)
		}
		if err != nil {
			return fmt.Errorf("write %s to %s: %w", s.value, s.path, err)
		}
	}
	return nil
}

// writeSysctl does without os.File, which would ask for every file whether it
// can be polled.
func writeSysctl(s sysctl) error {
	fd, err := unix.Open("/proc/sys/net/"+s.path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(s.value))
	return errors.Join(err, unix.Close(fd))
}
