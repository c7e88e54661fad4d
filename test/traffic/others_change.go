package traffic

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"berth/specs"
)

// othersChange forgets neighbours, changes MACs and addresses, connects every second container of an
// engine again, restarts one container, and lets it lease an address.
func (s *Site) othersChange(i int) error {
	for k, o := range s.others {
		if _, err := o.Run("ip", "neighbour", "flush", "all"); err != nil {
			return err
		}
		if o.process != nil && o.Mode != specs.ModeL2 {
			if err := o.change(byte(i), byte(k)); err != nil {
				return fmt.Errorf("container %q of %s: %w", o.ID, o.Program, err)
			}
		}
		if o.reconnect != nil && (i+k)%2 == 0 {
			if err := errors.Join(o.reconnect(o), o.settle(), s.forgetOther(o)); err != nil {
				return fmt.Errorf("connect container %q of %s again: %w", o.ID, o.Program, err)
			}
		}
		if k != i%len(s.others) {
			continue
		}
		if err := errors.Join(o.stop(o), s.startOther(o), s.forgetOther(o), s.leaseToo(o)); err != nil {
			return err
		}
	}
	return s.othersTalk(usual)
}

// forgetOther makes the machines and the containers of berth's resolve a container's new MAC.
func (s *Site) forgetOther(o *Other) error {
	var errs []error
	for _, a := range []netip.Addr{o.V4, o.V6} {
		if !a.IsValid() {
			continue
		}
		flush := []string{"neighbour", "flush", "to", a.String()}
		for _, m := range s.machines {
			_, err := m.Run("ip", flush...)
			errs = append(errs, err)
		}
		for _, c := range s.siblingsOf(o) {
			_, err := c.IP(flush...)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// leaseToo lets a container lease a second address from the LAN's DHCP server, and give it back. An
// ipvlan interface has the MAC of its parent, and so no lease of its own.
func (s *Site) leaseToo(o *Other) error {
	if o.Mode == specs.ModeL2 {
		return nil
	}
	_, err := o.Run("busybox", "udhcpc", "-i", o.IfName, "-n", "-q", "-R", "-t", "10", "-T", "1", "-s", s.leaseScript())
	if err != nil {
		return fmt.Errorf("container %q of %s: lease an address: %w", o.ID, o.Program, err)
	}
	out, err := o.IP("-o", "-4", "address", "show", "dev", o.IfName)
	for line := range strings.Lines(out) {
		fields := strings.Fields(line) // 2: eth0    inet 192.0.2.200/24 …
		if len(fields) < 4 {
			continue
		}
		if a, _, _ := strings.Cut(fields[3], "/"); a != o.V4.String() {
			_, gone := o.IP("address", "delete", fields[3], "dev", o.IfName)
			err = errors.Join(err, gone)
		}
	}
	return err
}

// change gives the interface of a container another MAC and a second address, and takes that away
// again, as an administrator may.
func (o *Other) change(round, number byte) error {
	more := netip.AddrFrom4([4]byte{192, 0, 2, 8 + number%8}).String() + "/32"
	for _, args := range [][]string{
		{"link", "set", o.IfName, "address", fmt.Sprintf("02:00:5e:00:%02x:%02x", 0x60+number, round)},
		{"address", "add", more, "dev", o.IfName},
		{"address", "delete", more, "dev", o.IfName},
	} {
		if _, err := o.Run("ip", args...); err != nil {
			return err
		}
	}
	return nil
}
