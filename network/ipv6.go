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
// [ErrUnsupported] when IPv6 is asked for and the kernel has none.
func (n *Namespace) SetIPv6(ifname string, s IPv6Settings) error {
	if err := specs.CheckInterfaceName(ifname); err != nil { // it becomes part of a path
		return err
	}
	err := n.Do(func() error { return writeSysctls(ipv6Sysctls(ifname, s)) })
	if _, stat := os.Stat("/proc/sys/net/ipv6"); err != nil && errors.Is(stat, fs.ErrNotExist) {
		if !s.Static && s.Mode == specs.IPv6Off {
			return nil // as asked for
		}
		err = fmt.Errorf("%w: IPv6 (CONFIG_IPV6)", ErrUnsupported)
	}
	if err != nil {
		return fmt.Errorf("set IPv6 of %q: %w", ifname, err)
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
