package daemon

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

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
	own, err := hostsOwn(host, enabled)
	if err != nil {
		return nil, err
	}
	all := make([]specs.NetworkStatus, 0, len(networks))
	err = b.store.View(ctx, func(tx *state.Tx) error {
		for _, n := range networks {
			s, err := networkStatus(tx, host, n, own)
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

// hostsOwn returns the addresses that the host has beside its shims. No pool gives them out.
func hostsOwn(host *network.Handle, shims []specs.HostShim) ([]netip.Addr, error) {
	own, err := host.Addresses()
	return slices.DeleteFunc(own, func(a netip.Addr) bool {
		isShims := func(p netip.Prefix) bool { return p.Addr() == a.Unmap().WithZone("") }
		return slices.ContainsFunc(shims, func(s specs.HostShim) bool { return slices.ContainsFunc(s.Addresses, isShims) })
	}), err
}

// networkStatus returns a network with its pools. own are the host's addresses.
func networkStatus(tx *state.Tx, host *network.Handle, n *specs.Network,
	own []netip.Addr) (specs.NetworkStatus, error) {
	s := specs.NetworkStatus{Network: n, Pools: []specs.PoolStatus{}}
	parent, err := host.Parent(n.Parent)
	if err != nil { // the network has no container now
		s.Problem = err.Error()
		parent = &network.Parent{}
	}
	at := state.Attachment{ParentIndex: parent.Index, TrunkIndex: parent.TrunkIndex, VLAN: parent.VLAN}
	leases := lease.In(tx, at.Domain())
	for _, subnet := range n.Subnets {
		p, err := poolStatus(leases, ipam.PoolOf(n, subnet, own), subnet, own)
		if err != nil {
			return s, err
		}
		s.Pools = append(s.Pools, p)
	}
	return s, nil
}

func poolStatus(leases *lease.Leases, pool *ipam.Pool, subnet specs.Subnet,
	own []netip.Addr) (specs.PoolStatus, error) {
	p := specs.PoolStatus{
		Subnet: pool.Prefix(), Range: pool.Range(), Size: pool.Size(), Free: pool.Size(),
		Exclude: append([]specs.Exclusion{}, subnet.Exclude...),
		Held:    []specs.PoolAddress{}, Foreign: []specs.PoolAddress{}, Reserved: []specs.PoolAddress{},
	}
	held, err := leases.HeldIn(pool)
	if err != nil {
		return p, err
	}
	taken := make(map[netip.Addr]bool) // of those that the pool would give out
	for _, l := range held {
		p.Held = append(p.Held, specs.PoolAddress{Address: l.Addr, Holder: cmp.Or(l.Container, hostShimHolder)})
		taken[l.Addr] = pool.GivesOut(l.Addr)
	}
	foreign, err := leases.ForeignIn(pool)
	if err != nil {
		return p, err
	}
	for _, f := range foreign {
		p.Foreign = append(p.Foreign, specs.PoolAddress{Address: f.Addr, Holder: f.Holder})
		taken[f.Addr] = pool.GivesOut(f.Addr)
	}
	for _, givesOut := range taken {
		if givesOut {
			p.Free--
		}
	}
	p.Reserved = append(p.Reserved, reservedAddresses(pool, subnet, own)...)
	return p, nil
}

// reservedAddresses returns the single addresses that a pool gives to no container, each with
// the reason.
func reservedAddresses(pool *ipam.Pool, subnet specs.Subnet, own []netip.Addr) (all []specs.PoolAddress) {
	for _, a := range slices.Concat([]netip.Addr{pool.Prefix().Addr(), subnet.Gateway, specs.LastAddr(pool.Prefix())},
		own) {
		a = a.Unmap().WithZone("")
		isListed := slices.ContainsFunc(all, func(p specs.PoolAddress) bool { return p.Address == a })
		if why := pool.Reserved(a); pool.Prefix().Contains(a) && why != "" && !isListed {
			all = append(all, specs.PoolAddress{Address: a, Holder: why})
		}
	}
	return all
}
