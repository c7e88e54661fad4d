package daemon

import (
	"cmp"
	"context"
	"net/netip"

	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// hostShimHolder is the holder of an address that a host shim has.
const hostShimHolder = "the host shim"

// Networks implements api.Backend. Files that cannot be read are left out; `berth network ls`
// names them.
func (b backend) Networks(ctx context.Context) ([]specs.NetworkStatus, error) {
	networks, _ := config.Networks(b.o.Dirs.Config)
	host, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	shims := hostshim.Shims{Store: b.store, Log: b.log}
	enabled, err := shims.List(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]specs.NetworkStatus, 0, len(networks))
	err = b.store.View(ctx, func(tx *state.Tx) error {
		for _, n := range networks {
			s, err := networkStatus(tx, host, n)
			if err != nil {
				return err
			}
			for i := range enabled {
				if enabled[i].Network == n.Name {
					s.Host = &enabled[i]
				}
			}
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

// networkStatus returns a network with its pools.
func networkStatus(tx *state.Tx, host *network.Handle, n *specs.Network) (specs.NetworkStatus, error) {
	s := specs.NetworkStatus{Network: n, Pools: []specs.PoolStatus{}}
	parent, err := host.Parent(n.Parent)
	if err != nil { // the network has no container now
		s.Problem = err.Error()
		parent = &network.Parent{}
	}
	at := state.Attachment{ParentIndex: parent.Index, TrunkIndex: parent.TrunkIndex, VLAN: parent.VLAN}
	leases := lease.In(tx, at.Domain())
	for _, subnet := range n.Subnets {
		p, err := poolStatus(leases, ipam.PoolOf(n, subnet, nil), subnet)
		if err != nil {
			return s, err
		}
		s.Pools = append(s.Pools, p)
	}
	return s, nil
}

func poolStatus(leases *lease.Leases, pool *ipam.Pool, subnet specs.Subnet) (specs.PoolStatus, error) {
	p := specs.PoolStatus{
		Subnet: pool.Prefix(), Range: pool.Range(), Size: pool.Size(), Exclude: append([]specs.Exclusion{}, subnet.Exclude...),
		Held: []specs.PoolAddress{}, Foreign: []specs.PoolAddress{}, Reserved: []specs.PoolAddress{},
	}
	held, err := leases.HeldIn(pool)
	if err != nil {
		return p, err
	}
	for _, l := range held {
		p.Held = append(p.Held, specs.PoolAddress{Address: l.Addr, Holder: cmp.Or(l.Container, hostShimHolder)})
	}
	foreign, err := leases.ForeignIn(pool)
	if err != nil {
		return p, err
	}
	for _, f := range foreign {
		p.Foreign = append(p.Foreign, specs.PoolAddress{Address: f.Addr, Holder: f.Holder})
	}
	for _, a := range []netip.Addr{pool.Prefix().Addr(), subnet.Gateway, specs.LastAddr(pool.Prefix())} {
		if why := pool.Reserved(a); a.IsValid() && why != "" {
			p.Reserved = append(p.Reserved, specs.PoolAddress{Address: a, Holder: why})
		}
	}
	return p, nil
}
