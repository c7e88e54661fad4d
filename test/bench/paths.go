package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"berth/agent/client"
	"berth/specs"
	"berth/test/lab"
)

// The duration of one measurement of each kind.
const (
	tcpBytes   = 256 << 20
	floodSlice = 100 * time.Millisecond
	roundTrips = 4000
)

// siblingLeast and wireLeast are the minimum ratios of packets with the agent to packets
// with empty TC programs, between siblings and to or from the wire.
const (
	siblingLeast = 0.97
	wireLeast    = 0.985
)

// agentMost is the share of the traffic through a parent that the agent may cost.
const agentMost = 0.01

// A site has all ends of the measured paths.
type site struct {
	host       *lab.Host
	berth      *client.Client
	a, b       place // two containers of one parent, macvlan bridge
	wire       place // another machine, through the parent
	c, d       place // two machines on a Linux bridge, by veth pairs
	e, f       place // two containers of one parent, ipvlan l2
	noIPvlan   string
	containers []*container
}

func benchPaths(b *bench) (*section, error) {
	s := new(site)
	defer s.end()
	if err := s.build(b); err != nil {
		return nil, err
	}
	agent, err := s.host.StartAgent("--metrics", "")
	if err != nil {
		return nil, err
	}
	defer agent.Stop()
	if err := s.attachContainers(); err != nil {
		return nil, err
	}
	return s.measurePaths(b)
}

// build makes the machines.
func (s *site) build(b *bench) error {
	host, lan, err := b.newHost("paths")
	if err != nil {
		return err
	}
	s.host, s.berth = host, client.New(host.State)
	if s.wire, err = plugged(lan, "paths-wire", "198.51.100.200"); err != nil {
		return err
	}
	bridge, err := lab.NewSwitch("paths-bridge")
	if err != nil {
		return err
	}
	if s.c, err = plugged(bridge, "paths-c", "198.51.100.10"); err != nil {
		return err
	}
	if s.d, err = plugged(bridge, "paths-d", "198.51.100.11"); err != nil {
		return err
	}
	if err := lan.Plug(host.Machine, "eth2"); err != nil {
		return err
	}
	if _, err := host.Run("ip", "link", "add", "link", "eth2", "name", "try", "type", "ipvlan", "mode", "l2"); err != nil {
		s.noIPvlan = "this kernel has no ipvlan: " + tail(err)
	} else if _, err := host.Run("ip", "link", "delete", "try"); err != nil {
		return err
	}
	ipvlan := strings.NewReplacer(`"macvlan"`, `"ipvlan"`, `"eth1"`, `"eth2"`).Replace(berthNetwork(cniSubnet, 0))
	return errors.Join(host.Network("lan", berthNetwork(berthSubnet, 0)), host.Network("ipvlan", "mode = \"l2\"\n"+ipvlan))
}

// tail returns the last line of ip's error.
func tail(err error) string {
	_, reason, _ := strings.Cut(err.Error(), "Error: ")
	return strings.Trim(reason, ".\n")
}

func plugged(to *lab.Switch, name, addr string) (place, error) {
	m, err := lab.NewMachine(name)
	if err != nil {
		return place{}, err
	}
	return place{m.Path(), netip.MustParseAddr(addr)}, to.Plug(m, "eth1", addr+"/24")
}

func (s *site) end() {
	for _, c := range s.containers {
		c.end()
	}
}

// attachContainers starts the containers, with berth's interfaces.
func (s *site) attachContainers() error {
	if err := s.host.Enter(); err != nil {
		return err
	}
	into := []*place{&s.a, &s.b, &s.e, &s.f}
	if s.noIPvlan != "" {
		into = into[:2]
	}
	for i, p := range into {
		network := []string{"lan", "ipvlan"}[i/2]
		c, err := newContainer()
		if err != nil {
			return err
		}
		s.containers = append(s.containers, c)
		hook := newBerth(berthAlone, s.host, fmt.Sprintf(`"berth/networks":%q`, network))
		if err := hook.attach(fmt.Sprint("c", i), c.pid).runUntimed(); err != nil {
			return err
		}
		if _, err := c.ip("link", "set", "lo", "up"); err != nil { // the check for a ready iperf3 uses it
			return err
		}
		out, err := c.ip("-o", "-4", "address", "show", "dev", "net1")
		if err != nil {
			return err
		}
		fields := strings.Fields(out) // 2: net1    inet 198.51.100.2/24 …
		if len(fields) < 4 {
			return fmt.Errorf("no address: %q", out)
		}
		prefix, err := netip.ParsePrefix(fields[3])
		if err != nil {
			return err
		}
		*p = place{c.path(), prefix.Addr()}
	}
	return nil
}

// counting attaches or detaches the agent's programs, and waits until that is done.
func (s *site) counting(on bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	want := specs.ParentDetached
	change := func() error { return s.berth.Detach(ctx, false) }
	if on {
		want, change = specs.ParentCounting, func() error { return s.berth.Attach(ctx) }
	}
	if err := change(); err != nil {
		return err
	}
	return lab.Eventually(5*time.Second, func() error {
		parents, err := s.berth.Parents(ctx)
		if err != nil {
			return err
		}
		for _, p := range parents {
			if p.Name == "eth1" && p.State == want {
				return nil
			}
		}
		return fmt.Errorf("parent is not %s: %+v", want, parents)
	})
}

// counted returns the number of packets, in both directions, that the agent has counted
// for the first container.
func (s *site) counted() (uint64, error) {
	endpoints, err := s.berth.Endpoints(context.Background(), false)
	if err != nil {
		return 0, err
	}
	for _, e := range endpoints {
		if e.ContainerID == "c0" {
			return e.Counters.Receive.Total().Packets + e.Counters.Transmit.Total().Packets, nil
		}
	}
	return 0, fmt.Errorf("no container c0 among %d endpoints", len(endpoints))
}
