package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"berth/dhcp/exchange"
	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// ProbeRequest is the work of a prober on one network.
type ProbeRequest struct {
	Network string
	Taken   []netip.Addr // a start uses them without a probe of its own: they are probed for once more
}

// Bounds of a prober: the number of addresses of a family that it probes for, and the time
// that it takes beside the probe.
const (
	maxProbedAhead = 16
	proberExtra    = 2 * time.Second
)

// proberKey is the lock of the prober of a network.
func proberKey(name string) string { return "ahead " + name }

// ProbeAhead is the body of a prober. It probes for the next free addresses of networks and
// records each that no host answers for, so that the next starts need no wait. It sends from
// the parents, so it needs no container, and no container receives its probes. It makes no
// interface and leases no address. A network that another prober works on already, or that
// cannot be probed, is left out.
func (h *Hook) ProbeAhead(ctx context.Context, all []ProbeRequest) error {
	if !h.hasState() {
		return nil
	}
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	h.host = host
	addresses, err := host.Addresses()
	if err != nil {
		return fmt.Errorf("list the addresses of the host: %w", err)
	}
	p := &prober{Hook: h}
	defer p.releaseLocks()
	for _, each := range all {
		if err := p.addNetwork(each, addresses); err != nil {
			h.Log.Debug("not probed ahead", "network", each.Network, "error", err)
		}
	}
	if len(p.jobs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.listen+proberExtra)
	defer cancel()
	return p.probeJobs(ctx)
}

// hasState reports whether the folder of the state exists: a prober does not make it again
// after a purge.
func (h *Hook) hasState() bool {
	_, err := os.Stat(h.Store.Dir())
	return err == nil
}

// prober probes for the addresses of several networks at once.
type prober struct {
	*Hook
	jobs   []*probeJob
	listen time.Duration // the longest conflict_timeout
	free   []func()
}

// probeJob is the part of one network.
type probeJob struct {
	ProbeRequest
	domain string
	mac    specs.MAC
	link   network.LinkInfo // the parent
	pools  [families][]*ipam.Pool
	next   []netip.Addr // free ones to probe for
}

func (p *prober) releaseLocks() {
	for _, unlock := range p.free {
		unlock()
	}
}

func (p *prober) addNetwork(each ProbeRequest, host []netip.Addr) error {
	n, err := config.Network(p.Dirs.Config, each.Network)
	if err != nil {
		return err
	}
	if !hasProber(n) {
		return nil
	}
	parent, err := p.host.Parent(n.Parent)
	if err != nil {
		return err
	}
	link, err := p.host.LinkByIndex(parent.Index)
	if err != nil || !link.Carrier {
		return err // without a carrier nothing answers
	}
	at := state.Attachment{ParentIndex: parent.Index, TrunkIndex: parent.TrunkIndex, VLAN: parent.VLAN}
	job := &probeJob{ProbeRequest: each, domain: at.Domain(), mac: parent.MAC, link: link}
	unlock, err := p.Store.TryHold(proberKey(each.Network))
	if err == nil {
		p.free = append(p.free, unlock)
		job.pools = poolsOf(n, host)
	} else if len(each.Taken) == 0 {
		return err
	}
	p.listen = max(p.listen, time.Duration(*n.ConflictTimeout))
	p.jobs = append(p.jobs, job)
	return nil
}

// probeJobs chooses the addresses, marks them, probes for all at once and records the
// result.
func (p *prober) probeJobs(ctx context.Context) error {
	began := exchange.Now()
	err := p.Store.Update(ctx, func(tx *state.Tx) error {
		tx.Quiet()
		for _, job := range p.jobs {
			job.chooseNext(tx, began)
			if err := job.markNext(tx, began); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.logStep("mark the addresses"); err != nil {
		return err
	}
	here, err := network.Current()
	if err != nil {
		return err
	}
	defer here.Close()
	began = exchange.Now()
	conflicts, err := network.Probe(ctx, here, p.claimants(), p.listen)
	if err != nil {
		return err
	}
	return p.record(ctx, began, conflicts)
}

// chooseNext chooses the addresses that the next starts will take, without those that were
// seen free a short time ago.
func (job *probeJob) chooseNext(tx *state.Tx, now time.Duration) {
	known, leases := lease.Sightings(tx, job.domain), lease.In(tx, job.domain)
	for fam := range families {
		left := maxProbedAhead
		for _, pool := range job.pools[fam] {
			next := leases.NextFree(pool, left)
			left -= len(next)
			job.next = append(job.next, slices.DeleteFunc(next, func(a netip.Addr) bool {
				s := lease.FindSighting(known, a)
				return s.Link == linkState(&job.link) && s.Younger(now, lease.SeenFor/2)
			})...)
		}
	}
}

// markNext marks the addresses that are probed for, so that a start waits for the result
// instead of probing itself. It does not replace a sighting that is still valid, so that no
// start waits for the new one.
func (job *probeJob) markNext(tx *state.Tx, now time.Duration) error {
	known := lease.Sightings(tx, job.domain)
	fresh := slices.DeleteFunc(slices.Clone(job.next), func(a netip.Addr) bool {
		s := lease.FindSighting(known, a)
		return s.Link == linkState(&job.link) && s.Younger(now, lease.SeenFor)
	})
	return lease.See(tx, job.domain, now, job.sightings(fresh, now, 0))
}

func (job *probeJob) sightings(addrs []netip.Addr, at, listened time.Duration) (all []lease.Sighting) {
	for _, a := range addrs {
		all = append(all, lease.Sighting{Addr: a, At: at, Listened: listened, Link: linkState(&job.link)})
	}
	return all
}

func (p *prober) claimants() (all []network.Claimant) {
	for _, job := range p.jobs {
		all = append(all, network.Claimant{
			Index: job.link.Index, Name: job.link.Name, MAC: job.mac, Addresses: slices.Concat(job.Taken, job.next),
		})
	}
	return all
}

// record records the addresses without an answer. It forgets those with one, and all of a
// parent whose carrier has changed meanwhile.
func (p *prober) record(ctx context.Context, began time.Duration, conflicts []network.Conflict) error {
	for _, job := range p.jobs {
		if !p.hasState() {
			return nil
		}
		now, err := p.host.LinkByIndex(job.link.Index)
		same := err == nil && now.Carrier && linkState(&now) == linkState(&job.link)
		var silent, lost []netip.Addr
		for _, a := range slices.Concat(job.Taken, job.next) {
			if same && !p.isAnswered(job, a, conflicts) {
				silent = append(silent, a)
			} else {
				lost = append(lost, a)
			}
		}
		err = p.Store.Update(ctx, func(tx *state.Tx) error {
			tx.Quiet()
			if err := lease.Unsee(tx, job.domain, lost...); err != nil {
				return err
			}
			return lease.See(tx, job.domain, exchange.Now(), job.sightings(silent, began, p.listen))
		})
		if err != nil {
			return err
		}
	}
	return p.stamp()
}

// stampName is the file in STATE/state that a prober writes to, so that berth-runtime starts
// no other at once.
const stampName = "probed"

func (p *prober) stamp() error {
	f, err := p.Store.OpenFile(stampName, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("\n"), 0)
	return errors.Join(err, f.Close())
}

// isAnswered reports whether a host has an address. If a container has it too, the
// conflict is logged.
func (p *prober) isAnswered(job *probeJob, a netip.Addr, conflicts []network.Conflict) bool {
	for _, c := range conflicts {
		if c.Interface != job.link.Name || c.Addr != a {
			continue
		}
		if slices.Contains(job.Taken, a) {
			p.Log.Warn("a container has the address of another machine on the LAN, which took it since it was last seen free; "+
				"remove it from that machine, or restart the container", "address", a, "by", c.MAC, "network", job.Network)
		}
		return true
	}
	return false
}

// poolsOf returns the pools from which berth leases addresses of a network; they leave out the host's
// own addresses. The subnets of a network with DHCP are those of IPv6. Other networks have none.
func poolsOf(n *specs.Network, host []netip.Addr) (pools [families][]*ipam.Pool) {
	if n.IPAM != specs.IPAMLocal && !n.Clustered() && n.IPAM != specs.IPAMDHCP {
		return pools
	}
	for _, s := range n.Subnets {
		fam := family(s.Subnet.Addr())
		pools[fam] = append(pools[fam], ipam.PoolOf(n, s, host))
	}
	return pools
}
