package check

import (
	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// Shared is this node's part of a pool that nodes share.
type Shared struct {
	Node    bool   // berth.toml names an etcd
	Size    int    // addresses that this node can lease without etcd, leased ones included
	Free    int    // of them
	MAC     bool   // this node has a prefix of MACs
	Trouble string // why the agent gets no more of the pool, or ""
}

// readShared reads this node's parts of the shared pools.
func (s *survey) readShared(tx *state.Tx) error {
	s.shared = map[string]Shared{}
	for _, n := range s.networks {
		if !n.Clustered() {
			continue
		}
		pool := ipam.PoolOf(n, n.Subnets[0], nil)
		now := Shared{Node: s.config.Cluster.Enabled(), Trouble: lease.Trouble(tx, n.Domain)}
		parts, err := lease.Parts(tx, n.Domain)
		if err != nil {
			return err
		}
		for _, p := range parts {
			now.MAC = now.MAC || !p.Prefix.IsValid()
			if p.Prefix.IsValid() && pool.Range().Overlaps(p.Prefix) {
				now.Size += int(pool.Within(p.Prefix).Size())
			}
		}
		if now.Free, err = lease.SharedFree(tx, n.Domain, pool); err != nil {
			return err
		}
		s.shared[n.Name] = now
	}
	return nil
}

// judgeShared reports this node's addresses of a shared pool.
func judgeShared(r *report, n Network, s specs.Subnet) {
	const check = "cluster"
	const problem = "see its problems: `berth agent status`"
	c := n.Shared
	switch {
	case !c.Node:
		r.addFail(check, "set etcd under [cluster] in berth.toml, and restart berthd",
			"berth.toml names no etcd: no container can start")
	case c.Size == 0 && c.Trouble != "":
		r.addFail(check, problem, "this node has no address of domain %s: no container can start; %s", n.Domain, c.Trouble)
	case c.Size == 0 || n.Driver == specs.Macvlan && !c.MAC:
		r.addFail(check, "start berthd, or "+problem,
			"berthd has claimed no block of domain %s yet: no container can start", n.Domain)
	case c.Trouble != "":
		r.addWarn(check, problem, "this node has %d addresses of domain %s, %d of them left, and gets no more; %s",
			c.Size, n.Domain, c.Free, c.Trouble)
	case c.Free == 0:
		r.addWarn(check, problem, "this node's %d addresses of domain %s are held; a start waits until berthd has claimed "+
			"another block",
			c.Size, n.Domain)
	default:
		r.addPass(check, "this node has %d addresses of domain %s, in %s, %d of them left", c.Size, n.Domain,
			rangeOf(s), c.Free)
	}
}
