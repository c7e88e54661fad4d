package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"berth/test/lab"
)

// taken is the address of another machine on the LAN, takenBy is that machine's MAC, and
// free is an unused address.
const (
	taken   = "198.51.100.77"
	takenBy = "02:00:5e:00:53:77"
	free    = "198.51.100.78"
)

// The refusal of an address may take as long as the probe.
const refusedWithin = probeMost

func benchConflict(b *bench) (*section, error) {
	host, err := b.newConflictHost()
	if err != nil {
		return nil, err
	}
	var refused, accepted, blind []time.Duration
	n := max(3, b.rounds/2)
	for i := range n {
		b.step(i, n)
		if err := refuse(asking(host, "lan", taken), &refused); err != nil {
			return nil, err
		}
		for _, one := range []struct {
			network string
			into    *[]time.Duration
		}{{"lan", &accepted}, {"blind", &blind}} {
			var took [things][]time.Duration
			if err := measureLife(asking(host, one.network, free), "free", true, &took); err != nil {
				return nil, err
			}
			*one.into = append(*one.into, took[attach]...)
		}
	}
	s := conflictSection(refused, accepted, blind)
	return s, cniTakes(host, s)
}

// newConflictHost enters a host with a network that probes and one that does not. Another machine on
// its LAN has the address.
func (b *bench) newConflictHost() (*lab.Host, error) {
	host, lan, err := b.newHost("conflict")
	if err != nil {
		return nil, err
	}
	if err := neighbour(lan); err != nil {
		return nil, err
	}
	if err := host.Policy("[policy]\nstatic_ips = true\n"); err != nil {
		return nil, err
	}
	if err := host.Network("lan", berthNetwork(berthSubnet, probeMost)); err != nil {
		return nil, err
	}
	if err := host.Network("blind", berthNetwork(berthSubnet, 0)); err != nil {
		return nil, err
	}
	return host, host.Enter()
}

func conflictSection(refused, accepted, blind []time.Duration) *section {
	s := &section{
		how:  fmt.Sprintf("Another machine on the wire has %s. The time of berth-hook: medians of %d.", taken, len(refused)),
		head: []string{"a static address is requested", "berth-hook"},
	}
	r := median(refused)
	s.judge(fmt.Sprintf("≤ %d ms", refusedWithin.Milliseconds()), r <= refusedWithin,
		"the other machine's: time until refused", ms(r))
	s.addRow("a free one, probed for", ms(median(accepted)))
	s.addRow("a free one, without a probe", ms(median(blind)))
	s.fact("Every refusal named the address and the other machine's MAC, and left nothing in the container.")
	return s
}

// neighbour puts the other machine on the LAN.
func neighbour(lan *lab.Switch) error {
	m, err := lab.NewMachine("conflict-other")
	if err != nil {
		return err
	}
	if err := lan.Plug(m, "eth1", taken+"/24"); err != nil {
		return err
	}
	_, err = m.Run("ip", "link", "set", "eth1", "address", takenBy)
	return err
}

// asking returns the hook for a container that requests an address.
func asking(host *lab.Host, network, addr string) peer {
	list := fmt.Sprintf(`[{"name":%q,"ips":[%q]}]`, network, addr)
	return newBerth(berthAlone, host, fmt.Sprintf(`"berth/networks":%q`, list))
}

// refuse times an attachment that must be refused with an error that names the machine
// with the address.
func refuse(p peer, into *[]time.Duration) error {
	c, err := newContainer()
	if err != nil {
		return err
	}
	defer c.end()
	err = timed(p.attach("second", c.pid), into)
	if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), takenBy) {
		return fmt.Errorf("want a refusal that names %s and %s, got: %v", taken, takenBy, err)
	}
	links, err := c.ip("-o", "link")
	if err == nil && strings.Count(links, "\n") > 1 {
		err = fmt.Errorf("refused, and a link is left: %s", links)
	}
	return err
}

const cniStatic = `{"cniVersion":"1.0.0","name":"static","type":"macvlan","master":"eth1","mode":"bridge",` +
	`"ipam":{"type":"static","addresses":[{"address":%q}]}}`

// cniTakes reports whether CNI assigns the address of another machine.
func cniTakes(host *lab.Host, s *section) error {
	c, err := newContainer()
	if err != nil {
		return err
	}
	defer c.end()
	p := newCNI(cniAlone, pluginDir, filepath.Join(host.Dir, "cni"), cniSubnet)
	attach := p.attach("second", c.pid)
	attach.stdin = fmt.Sprintf(cniStatic, taken+"/24")
	if err := attach.runUntimed(); err != nil {
		s.fact("CNI refused it: %s", reason(err))
		return nil
	}
	s.fact("CNI (macvlan with static addresses) gave the container %s too, without an error.", taken)
	return nil
}
