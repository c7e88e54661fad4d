package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"berth/internal/testnet"
)

// partitions is a cluster with three members of etcd, whose network fails at random.
type partitions struct {
	*faults
	site    *memberLAN
	cuts    map[string]func() // the end of each cut, by its name
	stopped map[int]syscall.Signal
}

// TestPartitions is TestClusterFaults with eight nodes and three members of etcd, and with a network that is cut at
// random: between the two switches, at the port of a node or a member, or in one direction between two
// machines. Members are killed and paused too.
func TestPartitions(t *testing.T) {
	t.Parallel()
	site := newMemberLAN(t)
	p := &partitions{faults: newFaults(site.clusterLAN, 8), site: site, cuts: map[string]func(){}, stopped: map[int]syscall.Signal{}}
	for _, node := range []string{"c", "f", "h"} {
		site.plug(node, "br2")
	}
	of := append(p.ofNodes(), fault{"cut or mend the network", 60, func(*clusterNode) { p.toggleCable() }},
		fault{"stop or continue a member", 20, func(*clusterNode) { p.toggleMember() }})
	p.mustAllStart()
	for range 2 * *faultSteps { // most cuts are short
		p.act(of)
		p.mustBeUnique()
	}
	for _, what := range slices.Sorted(maps.Keys(p.cuts)) {
		p.cuts[what]()
	}
	for i := range site.members {
		p.continueMember(i)
	}
	p.endFaults()
	p.mustAllStart()
}

// toggleCable makes a cut, or mends one.
func (p *partitions) toggleCable() {
	all := slices.Sorted(maps.Keys(p.cuts))
	if n := len(all); p.r.IntN(4) < n {
		what := all[p.r.IntN(n)]
		p.cuts[what]()
		delete(p.cuts, what)
		return
	}
	what, cut := p.newCut()
	if p.cuts[what] == nil {
		p.cuts[what] = cut()
		p.done["cut "+what]++
	}
}

// newCut returns a random cut, and its name.
func (p *partitions) newCut() (what string, cut func() (mend func())) {
	ports := []string{cable, cable, cable}
	var machines []testnet.EtcdHost
	for i, n := range p.nodes {
		ports = append(ports, n.name)
		machines = append(machines, testnet.EtcdHost{NS: n.host, Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(2 + i)})})
	}
	for i, h := range p.site.hosts {
		ports = append(ports, memberPort(i))
		machines = append(machines, h)
	}
	if p.r.IntN(2) == 0 {
		port := ports[p.r.IntN(len(ports))]
		return port, func() func() { return p.site.cutPort(port) }
	}
	from, to := machines[p.r.IntN(len(machines))], p.site.hosts[p.r.IntN(len(p.site.hosts))]
	if p.r.IntN(2) == 0 {
		from, to = to, from
	}
	if from == to {
		return cable, func() func() { return p.site.cutPort(cable) }
	}
	return fmt.Sprintf("%s to %s", from.Address, to.Address), func() func() { return p.site.lose(from.NS, to.Address) }
}

// toggleMember kills or pauses a member of etcd, or continues it.
func (p *partitions) toggleMember() {
	i := p.r.IntN(len(p.site.members))
	switch {
	case p.stopped[i] != 0:
		p.continueMember(i)
	case p.r.IntN(2) == 0:
		p.site.members[i].Kill()
		p.stopped[i] = syscall.SIGKILL
	default:
		p.site.members[i].Signal(p.t, syscall.SIGSTOP)
		p.stopped[i] = syscall.SIGSTOP
	}
}

func (p *partitions) continueMember(i int) {
	switch m := p.site.members[i]; p.stopped[i] {
	case syscall.SIGKILL:
		m.Start(p.t, m.URL)
	case syscall.SIGSTOP:
		m.Signal(p.t, syscall.SIGCONT)
	}
	delete(p.stopped, i)
}
