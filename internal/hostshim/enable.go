package hostshim

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"berth/internal/plumb"
	"berth/internal/random"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// reflectTimeout bounds the wait for a frame that the switch is to send back. A
// switch does so within microseconds.
const reflectTimeout = 200 * time.Millisecond

// enabling applies one plan to the kernel. Once the record is reserved, the undo is
// to remove it.
type enabling struct {
	*Shims
	*plan
	host     *network.Handle
	ns       *network.Namespace
	free     []func() // run at the end, after success and failure alike
	rec      *Record
	reserved bool
	rejected plumb.Rejected
}

func (e *enabling) unlockVLANs() {
	for i := len(e.free) - 1; i >= 0; i-- {
		e.free[i]()
	}
	e.free = nil
}

// preparePlan makes the plan. It locks the VLANs before it gathers the facts for the last
// time and keeps the locks to the end, because netlink is not part of a transaction.
func (e *enabling) preparePlan(ctx context.Context, n *specs.Network, ips []netip.Addr) (err error) {
	if e.ns, err = network.Current(); err != nil {
		return err
	}
	e.free = append(e.free, func() { _ = e.ns.Close() }) // the descriptor was only read
	f, err := gatherFacts(e.host, n)
	if err != nil {
		return err
	}
	if locked := plumb.VLANsOf(f.vlans); len(locked) > 0 {
		unlock, err := plumb.LockVLANs(ctx, e.Store, locked)
		if err != nil {
			return err
		}
		e.free = append(e.free, unlock)
		if f, err = gatherFacts(e.host, n); err != nil {
			return err
		}
		if !slices.Equal(locked, plumb.VLANsOf(f.vlans)) {
			return fmt.Errorf("parent %q changed meanwhile; try again", n.Parent)
		}
	}
	if e.plan, err = makePlan(n, ips, f); err != nil {
		return err
	}
	e.rec = &Record{
		Network: n.Name, ID: random.Text(), Driver: n.Driver, Mode: n.Mode, IPvlanFlag: n.IPvlanFlag,
		Wanted: n.Parent, Parent: f.on.Name, ParentIndex: f.on.Index,
		MTU: e.mtu, Created: time.Now().UTC(),
	}
	if len(f.vlans) > 0 {
		e.rec.TrunkIndex, e.rec.VLAN, e.rec.Outer = f.vlans[0].TrunkIndex, f.vlans[0].ID, f.vlans[1:]
	}
	if e.makeVLAN != 0 {
		e.rec.Parent, e.rec.ParentIndex = n.Parent, 0
	}
	e.rec.Interface, err = interfaceName(n.Name, func(name string) bool { return f.links[name] })
	return err
}

// gatherFacts reads the facts of a plan from the kernel.
func gatherFacts(host *network.Handle, n *specs.Network) (*hostState, error) {
	f := &hostState{links: make(map[string]bool)}
	links, err := host.Links()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		for _, name := range append(l.AltNames, l.Name) {
			f.links[name] = true
		}
	}
	if f.addresses, err = host.Addresses(); err != nil {
		return nil, err
	}
	if f.on, f.makeVLAN, err = host.ParentOrTrunk(n.Parent); err != nil {
		return f, err
	}
	if f.vlans, err = plumb.Chain(host, f.on, f.makeVLAN, n.Parent); err != nil || f.makeVLAN != 0 {
		return f, err
	}
	f.occupants, err = host.Occupants(f.on.Index)
	return f, err
}

// runSteps does the steps in order: the record is written before the kernel is changed.
func (e *enabling) runSteps(ctx context.Context) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"claim", e.claimResources},
		{"make the VLAN", e.ensureVLAN},
		{"create the interface", e.createLink},
		{"set it up", e.setUp},
		{"see whether the switch reflects", e.checkReflection},
		{"probe for conflicts", e.settleConflicts},
		{"add addresses", func(context.Context) error { return addAddresses(e.host, e.rec) }},
		{"announce", e.announceAddresses},
		{"commit", e.commitRecord},
		{"add routes", func(ctx context.Context) error {
			_, _, err := e.syncRoutes(ctx, e.host, e.rec.Network)
			return err
		}},
	}
	for _, s := range steps {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("stopped before the step %q: %w", s.name, err)
		}
		if err := s.do(ctx); err != nil {
			return err
		}
		if err := e.logStep(s.name); err != nil {
			return err
		}
	}
	return nil
}

// claimResources claims everything that the shim needs and records it, in one transaction.
func (e *enabling) claimResources(ctx context.Context) error {
	err := e.Store.Update(ctx, func(tx *state.Tx) error {
		if err := CheckSharing(tx, e.rec.domain(), e.rec.use()); err != nil {
			return fmt.Errorf("parent %q: %w", e.net.Parent, err)
		}
		stake := e.rec.stake()
		if err := e.takeAddresses(tx, stake); err != nil {
			return err
		}
		var err error
		if e.rec.MAC = e.on.MAC; e.net.Driver == specs.Macvlan {
			if e.rec.MAC, err = stake.TakeMAC(tx, e.net); err != nil {
				return err
			}
		}
		if err := stake.UseVLAN(tx, e.makeVLAN != 0); err != nil {
			return err
		}
		return putRecord(tx, e.rec)
	})
	e.reserved = err == nil
	return err
}

func (e *enabling) takeAddresses(tx *state.Tx, stake *plumb.Stake) error {
	if err := stake.Claim(tx, e.net, e.static); err != nil {
		return specs.At("--ip", err)
	}
	e.rec.Addresses = slices.Clone(e.static)
	for i := range e.pools { // the host has an address in each subnet
		p, err := stake.Take(tx, e.pools[i:i+1])
		if err != nil {
			return err
		}
		e.rec.Addresses = append(e.rec.Addresses, p)
	}
	return nil
}

func (e *enabling) ensureVLAN(context.Context) error {
	if e.makeVLAN == 0 {
		return nil
	}
	trunk, id, _ := specs.SplitVLAN(e.net.Parent)
	p, made, err := e.host.EnsureVLAN(trunk, id)
	if err != nil {
		return err
	}
	e.rec.Parent, e.rec.ParentIndex = p.Name, p.Index
	return e.Store.Update(context.Background(), func(tx *state.Tx) error {
		if !made {
			if err := tx.DisownVLAN(p.TrunkIndex, p.VLAN); err != nil {
				return err
			}
		}
		return putRecord(tx, e.rec)
	})
}
