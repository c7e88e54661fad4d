package traffic

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"berth/agent/client"
	"berth/specs"
)

// Groups that the containers and all machines of the LAN join.
var (
	group4 = netip.MustParseAddrPort("239.1.2.3:5353")
	group6 = netip.MustParseAddrPort("[ff02::1:2345]:5353")
	all4   = netip.MustParseAddrPort("192.0.2.255:9999")
)

// The bytes that a stream of a round carries in each direction.
const (
	usual = 256 << 10
	bulk  = 8 << 20
)

// bulkEvery is the interval, in rounds, of bulk transfers.
const bulkEvery = 10

// Round sends the traffic of round i, about that of a minute. If it fails, the LAN itself
// does not work, and the run proves nothing about false alarms.
func (s *Site) Round(i int) error {
	bytes := int64(usual)
	if i%bulkEvery == 0 {
		bytes = bulk
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"router advertisement", func() error { return s.router.Advertise(prefixRA) }},
		{"streams", func() error { return s.each(func(c *Container) error { return s.talk(c, bytes) }) }},
		{"siblings", func() error { return s.siblings(bytes) }},
		{"groups", s.groups},
		{"pings", s.pings},
		{"forgotten neighbours", s.forget},
		{"host", s.hostTalks},
		{"DHCP", s.renew},
		{"restart", func() error { return s.restart(i) }},
		{"addresses that move", func() error { return s.move(i) }},
		{"other programs", func() error { return s.othersTalk(bytes) }},
		{"changes by other programs", func() error { return s.othersChange(i) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("round %d: %s: %w", i, step.name, err)
		}
	}
	return nil
}

// each calls fn for every container.
func (s *Site) each(fn func(*Container) error) error {
	for _, n := range s.nets {
		for _, c := range s.containers[n.name] {
			if err := fn(c); err != nil {
				return fmt.Errorf("%s: %w", c.ID, err)
			}
		}
	}
	return nil
}

// peers returns the machines that a container communicates with.
func (s *Site) peers(c *Container) []Place {
	if vlan := netip.MustParsePrefix("198.51.100.0/24"); vlan.Contains(c.V4) {
		return []Place{{Path: s.router.Path, IfName: "eth0.100", V4: netip.MustParseAddr("198.51.100.1")}}
	}
	return []Place{s.router, s.pc}
}

func (s *Site) talk(c *Container, bytes int64) error {
	for _, p := range s.peers(c) {
		err := errors.Join(Stream(c.Place, p, bytes), Stream(p, c.Place, bytes), Ask(c.Place, p, 10, 100),
			Ask(p, c.Place, 3, 4000))
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) siblings(bytes int64) error {
	for _, n := range s.nets {
		if all := s.containers[n.name]; n.siblings {
			if err := errors.Join(Stream(all[0].Place, all[1].Place, bytes),
				Ask(all[1].Place, all[0].Place, 5, 4000)); err != nil {
				return fmt.Errorf("%s: %w", n.name, err)
			}
		}
	}
	return nil
}

// groups lets every machine send to groups and to all, with members on both sides.
func (s *Site) groups() error {
	return s.each(func(c *Container) error {
		for _, group := range []netip.AddrPort{group4, group6} {
			if group.Addr().Is6() && !c.V6.IsValid() {
				continue
			}
			member, err := c.Join(group)
			if err != nil {
				return err
			}
			err = errors.Join(Shout(c.Place, group, 5), Shout(s.pc, group, 5), member.Close())
			if err != nil {
				return err
			}
		}
		if !netip.MustParsePrefix("192.0.2.0/24").Contains(c.V4) {
			return nil
		}
		return errors.Join(Shout(c.Place, all4, 2), Shout(s.pc, all4, 2))
	})
}

func (s *Site) pings() error {
	return s.each(func(c *Container) error {
		p := s.peers(c)[0]
		_, err := c.Run("busybox", "ping", "-c", "2", "-i", "0.1", "-W", "20", p.V4.String())
		if err == nil && c.V6.IsValid() && p.V6.IsValid() {
			_, err = c.Run("busybox", "ping6", "-c", "2", "-i", "0.1", "-W", "20", p.V6.String())
		}
		return err
	})
}

// forget makes every machine resolve its neighbours again.
func (s *Site) forget() error {
	for _, m := range s.machines {
		if _, err := m.Run("ip", "neighbour", "flush", "all"); err != nil {
			return err
		}
	}
	return s.each(func(c *Container) error {
		_, err := c.IP("neighbour", "flush", "all")
		return errors.Join(err, Ask(c.Place, s.peers(c)[0], 1, 100))
	})
}

// hostTalks lets the host communicate on the parent, from its own address and from an
// interface that berth did not create.
func (s *Site) hostTalks() error {
	host := Place{Path: s.Host.Path(), IfName: "eth1", V4: netip.MustParseAddr(hostV4)}
	if err := errors.Join(Stream(host, s.pc, usual), Stream(s.pc, host, usual)); err != nil {
		return err
	}
	commands := [][]string{
		{"link", "add", "link", "eth2", "name", "own0", "type", "macvlan", "mode", "bridge"},
		{"address", "add", "192.0.2.14/32", "dev", "own0"},
		{"link", "set", "own0", "up"},
		{"route", "add", pcV4, "dev", "own0", "src", "192.0.2.14"},
	}
	for _, args := range commands {
		if _, err := s.Host.Run("ip", args...); err != nil {
			return err
		}
	}
	_, err := s.Host.Run("busybox", "ping", "-c", "2", "-i", "0.1", "-W", "20", "-I", "192.0.2.14", pcV4)
	_, gone := s.Host.Run("ip", "link", "delete", "own0")
	return errors.Join(err, gone)
}

func (s *Site) renew() error {
	for _, c := range s.containers["dhcp"] {
		if err := s.lease(c); err != nil {
			return err
		}
	}
	return nil
}

// restart replaces a container by one with another id and the same MAC and addresses, in
// one network per round.
func (s *Site) restart(i int) error {
	n := s.nets[i%len(s.nets)]
	old := s.containers[n.name][0]
	mac, err := old.mac()
	if err != nil {
		return err
	}
	want := Selection{Name: n.name, MAC: mac}
	if n.driver == "ipvlan" || n.name == "passthru" {
		want.MAC = ""
	}
	if n.name != "dhcp" {
		want.IPs = []string{old.V4.String()}
		if old.V6.IsValid() && n.name != "slaac" {
			want.IPs = append(want.IPs, old.V6.String())
		}
	}
	// The kernel removes a dead namespace in the background, and its passthru
	// interface occupies the parent until then.
	if err := old.Stop(s.Host, i%2 == 0 || n.name == "passthru"); err != nil {
		return err
	}
	fresh, err := StartContainer(s.Host, fmt.Sprintf("%s-%s-again%d", s.Host.Name, n.name, i), want)
	if err != nil {
		return err
	}
	s.containers[n.name][0] = fresh
	if n.name == "dhcp" {
		if err := s.lease(fresh); err != nil {
			return err
		}
	}
	return Ask(s.peers(fresh)[0], fresh.Place, 1, 100)
}

// move moves an address from one container to another, with another MAC, and one from a
// machine of the LAN to another.
func (s *Site) move(i int) error {
	const moving, roaming = "192.0.2.40", "192.0.2.150"
	for turn := range 2 {
		c, err := StartContainer(s.Host, fmt.Sprintf("%s-moving%d-%d", s.Host.Name, i, turn),
			Selection{Name: "bridge", IPs: []string{moving, "2001:db8:1::328"}})
		if err != nil {
			return err
		}
		if err := errors.Join(Stream(c.Place, s.pc, usual), Ask(s.router, c.Place, 1, 100),
			c.Stop(s.Host, turn == 0)); err != nil {
			return err
		}
	}
	asker := s.Container("bridge", 1)
	for _, m := range s.machines {
		_, err := m.Run("ip", "address", "add", roaming+"/24", "dev", "eth0")
		if err == nil {
			_, err = m.Run("busybox", "arping", "-U", "-c", "1", "-w", "5", "-I", "eth0", roaming)
		}
		if err == nil { // a neighbour entry is not replaced within a second (locktime in arp(7))
			_, err = asker.IP("neighbour", "flush", "to", roaming)
		}
		if err == nil {
			there := Place{Path: m.Path(), IfName: "eth0", V4: netip.MustParseAddr(roaming)}
			err = Ask(asker.Place, there, 1, 100)
		}
		_, gone := m.Run("ip", "address", "delete", roaming+"/24", "dev", "eth0")
		if err := errors.Join(err, gone); err != nil {
			return err
		}
	}
	return nil
}

// Alarms returns the agent's events, and its count of violations by kind.
func (s *Site) Alarms(ctx context.Context) (events []specs.Event, counted map[specs.Kind]uint64, err error) {
	for e, err := range s.Client.Events(ctx, client.Filter{}) {
		if err != nil {
			return nil, nil, err
		}
		events = append(events, e)
	}
	endpoints, err := s.Client.Endpoints(ctx, true)
	counted = make(map[specs.Kind]uint64)
	for i := range endpoints {
		for kind, n := range endpoints[i].Violations {
			counted[kind] += n
		}
	}
	return events, counted, err
}

// Frames returns the number of frames that the agent has counted, of all containers.
func (s *Site) Frames(ctx context.Context) (n uint64, err error) {
	endpoints, err := s.Client.Endpoints(ctx, true)
	for i := range endpoints {
		c := &endpoints[i].Counters
		n += c.Receive.Total().Packets + c.Transmit.Total().Packets
	}
	return n, err
}

// settled is the maximum time of a finding that needs an inspection, not a frame.
const settled = 200 * time.Millisecond

// Settle waits until the agent has inspected the last changes.
func (s *Site) Settle() { <-time.After(settled) }
