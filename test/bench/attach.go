package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"berth/test/lab"
)

// Subnets for documentation (RFC 5737), one per peer, because they share the parent.
var (
	berthSubnet = netip.MustParsePrefix("198.51.100.0/24")
	cniSubnet   = netip.MustParsePrefix("203.0.113.0/25")
	newestCNI   = netip.MustParsePrefix("203.0.113.128/25")
)

// probeMost is the time that the probe may add: conflict_timeout.
const probeMost = 100 * time.Millisecond

// newHost makes a host with berth, and its parent eth1 in a switch.
func (b *bench) newHost(name string) (*lab.Host, *lab.Switch, error) {
	lan, err := lab.NewSwitch(name + "-lan")
	if err != nil {
		return nil, nil, err
	}
	host, err := lab.NewHost(name, b.bin)
	if err != nil {
		return nil, nil, err
	}
	return host, lan, lan.Plug(host.Machine, "eth1")
}

// enterHost returns a host with the network lan, which does not probe, and an agent, and enters it. stop
// must be called, also after an error.
func (b *bench) enterHost(name string) (host *lab.Host, stop func(), err error) {
	stop = func() {}
	host, _, err = b.newHost(name)
	if err != nil {
		return nil, stop, err
	}
	if err := host.Network("lan", berthNetwork(berthSubnet, 0)); err != nil {
		return nil, stop, err
	}
	agent, err := host.StartAgent("--metrics", "")
	if err != nil {
		return nil, stop, err
	}
	return host, func() { _ = agent.Stop() }, host.Enter() // the host's processes end with the bench
}

// serveHook starts the resident berth-hook of a host, as the package does. Entries of hooks then run its
// client.
func serveHook(host *lab.Host) error {
	host.HookProgram = lab.HookClient
	_, err := host.StartHookService() // the host's processes end with the bench
	return err
}

func benchAttach(b *bench) (*section, error) {
	host, stop, err := b.enterHost("attach")
	defer stop()
	if err != nil {
		return nil, err
	}
	peers, err := crowded(host)
	if err != nil {
		return nil, err
	}
	empty, err := newEmpty(host.Dir)
	if err != nil {
		return nil, err
	}
	newest := filepath.Join(host.Dir, "cni-newest")
	version, err := buildCNI(newest)
	if err != nil {
		return nil, err
	}
	service, err := host.StartHookService()
	if err != nil {
		return nil, err
	}
	defer func() { _ = service.Stop() }() // the host's processes end with the bench
	peers = append(peers, empty, newBerth(berthAlone, host, onLAN), newClient(berthClient, host, onLAN),
		newCNI(cniAlone, pluginDir, filepath.Join(host.Dir, "cni"), cniSubnet),
		newCNI(cniNewest, newest, filepath.Join(host.Dir, "cni-of-newest"), newestCNI))
	got, err := measure(peers, b.rounds, b.step)
	if err != nil {
		return nil, err
	}
	return attachSection(got, b.rounds, version), nil
}

// comparisons are pairs of peers, with the ratio by which berth should be faster, or 0 without a goal.
var comparisons = []struct {
	what       string
	ours, peer string
	measured   int
	goal       float64
}{
	{"attach", berthClient, cniAlone, attach, 2.5},
	{"attach, newest release of CNI", berthClient, cniNewest, attach, 2.5},
	{"attach, by berth-hook alone", berthAlone, cniAlone, attach, 0},
	{"attach, 10,000 leases held", berthCrowded, cniCrowded, attach, 3},
	{"detach, namespace alive", berthClient, cniAlone, detachAlive, 1.5},
	{"detach, namespace dead", berthClient, cniAlone, detachDead, 2.5},
	{"detach, namespace dead, newest release of CNI", berthClient, cniNewest, detachDead, 2.5},
	{"detach, namespace dead, by berth-hook alone", berthAlone, cniAlone, detachDead, 0},
}

// attachSection is the section of samples, taken in a number of rounds. version is that of CNI's newest release.
func attachSection(got samples, rounds int, version string) *section {
	s := &section{
		how: fmt.Sprintf("The time of berth-hook-client with the resident berth-hook, and of Debian's CNI plugins macvlan "+
			"and host-local on the same parent, with a pool of addresses and without a probe: medians of %d rounds. The "+
			"newest release is %s, built with berth's Go. berthd runs meanwhile.", rounds, version),
		head: []string{"", "berth-hook-client", "CNI", "ratio", "fastest tenth"},
	}
	for _, c := range comparisons {
		ours, theirs := median(got[c.ours][c.measured]), median(got[c.peer][c.measured])
		r := ratio(theirs, ours)
		fastest := ratio(quantile(got[c.peer][c.measured], 0.1), quantile(got[c.ours][c.measured], 0.1))
		row := []string{c.what, ms(ours), ms(theirs), fold(r), fold(fastest)}
		if c.goal == 0 {
			s.addRow(row...)
			continue
		}
		s.judge(fmt.Sprintf("≥ %.1f×", c.goal), r >= c.goal, row...)
	}
	none, many := median(got[berthClient][attach]), median(got[berthCrowded][attach])
	flat := ratio(many, none)
	s.judge("≤ 1.20×", flat <= 1.2, "attach with 10,000 leases, compared with none", ms(many), "", fold(flat))
	s.addRow("CNI with 10,000 leases, compared with none", "", ms(median(got[cniCrowded][attach])),
		fold(ratio(median(got[cniCrowded][attach]), median(got[cniAlone][attach]))))
	start := median(got[emptyGo][attach])
	s.addRow("an empty program of Go, for scale", ms(start), "", "")
	s.addRow("attach by berth-hook alone, less that empty program", ms(median(got[berthAlone][attach])-start), "", "")
	return s
}
