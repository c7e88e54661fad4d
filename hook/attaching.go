package hook

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"berth/bpf"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// attaching is one plan on its way into the kernel. What it has done so far is
// on its undo stack.
type attaching struct {
	*Hook
	*container
	plan  *Plan
	slots uint32 // counter slots there are
	by    string // agent.attach of berth.toml
	undo  undo
	free  []func() // what is given back at the end either way

	unlockVLANs func() // nil unless held: from the look at a VLAN until it is made

	nsid     int
	maps     *bpf.Maps           // nil without an agent
	records  []*state.Attachment // of plan.New, in its order
	rejected plumb.Rejected
}

// run does the steps in their order: nothing is visible in the kernel before
// it is recorded, and no frame can leave before its sender is registered.
func (a *attaching) run(ctx context.Context) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"name the namespace", a.nameNamespace},
		{"hold the attachments", a.hold},
		{"lock the VLANs", a.lockVLANs},
		{"reserve", a.reserve},
		{"make the VLANs", a.makeVLANs},
		{"register", a.register},
		{"create the interfaces", a.create},
		{"set them up", a.setUp},
		{"probe for conflicts", a.settleConflicts},
		{"add addresses", a.addAddresses},
		{"add routes", a.addRoutes},
		{"announce", a.announce},
		{"commit", a.commit},
	}
	for _, s := range steps {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("before the step %q: %w", s.name, err)
		}
		if err := s.do(ctx); err != nil {
			return err
		}
		if err := a.step(s.name); err != nil {
			return err
		}
	}
	return nil
}

// done gives back what a run holds only while it works.
func (a *attaching) done() {
	a.freeVLANs()
	for i := len(a.free) - 1; i >= 0; i-- {
		a.free[i]()
	}
	a.free = nil
}

// nameNamespace gives the namespace an id in the host's, by which its links can
// be seen and deleted later, without a process or a path. It ends with the
// namespace, so there is nothing to undo.
func (a *attaching) nameNamespace(context.Context) (err error) {
	if a.nsid, err = a.host.AssignNSID(a.ns); err != nil {
		return fmt.Errorf("id for the network namespace of container %q: %w", a.ids[0], err)
	}
	return nil
}

// holdWait is how long a run waits for another that works on the same
// attachment; one that only collects does so for milliseconds.
const holdWait = 2 * time.Second

// hold says, for as long as this process lives, that the records of this
// attachment are being worked on.
func (a *attaching) hold(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, holdWait)
	defer cancel()
	for _, in := range a.plan.New {
		r := a.newRecord(in)
		letGo, err := a.Store.Hold(ctx, r.Key())
		if err != nil {
			return fmt.Errorf("interface %q of container %q is being made by another berth-hook: %w", in.Name, a.ids[0], err)
		}
		a.free = append(a.free, letGo)
		a.records = append(a.records, r)
	}
	return nil
}

func (a *attaching) newRecord(in *Interface) *state.Attachment {
	r := &state.Attachment{
		Cookie: a.cookie, NSID: a.nsid, Containers: slices.Clone(a.ids), Annotations: a.names,
		Network: in.Net.Name, Driver: in.Net.Driver, Mode: in.Net.Mode, IPvlanFlag: in.Net.IPvlanFlag,
		Parent: in.On.Name, ParentIndex: in.On.Index,
		Interface: in.Name, MAC: in.WantMAC, MTU: in.MTU, SourceMACs: in.Net.SourceMACs,
		IPv6: in.Net.IPv6, Enforce: in.Net.Enforce, Allow: in.Net.Allow,
		Phase: specs.PhaseAttaching, Created: time.Now().UTC(), Selection: in.Text,
	}
	if in.MakeVLAN != 0 {
		r.Parent, r.ParentIndex = in.Net.Parent, 0
	}
	if len(in.VLANs) > 0 {
		r.TrunkIndex, r.VLAN, r.Outer = in.VLANs[0].TrunkIndex, in.VLANs[0].ID, in.VLANs[1:]
	}
	return r
}

// makeVLANs makes the parents that are VLANs and not there yet, and brings
// each up.
func (a *attaching) makeVLANs(ctx context.Context) error {
	defer a.freeVLANs()
	made := false
	for i, in := range a.plan.New {
		if in.MakeVLAN == 0 {
			continue
		}
		trunk, _, _ := specs.SplitVLAN(in.Net.Parent)
		p, _, err := a.host.EnsureVLAN(trunk, in.MakeVLAN)
		if err != nil {
			return fmt.Errorf("parent %q: %w", in.Net.Parent, err)
		}
		a.records[i].Parent, a.records[i].ParentIndex, made = p.Name, p.Index, true
	}
	if !made {
		return nil
	}
	// Whoever takes these records back after a kill must find the map keys,
	// which have the parent's index.
	return a.Store.Update(ctx, a.put)
}

func (a *attaching) freeVLANs() {
	if a.unlockVLANs != nil {
		a.unlockVLANs()
	}
	a.unlockVLANs = nil
}

func (a *attaching) put(tx *state.Tx) error {
	for _, r := range a.records {
		if err := tx.Put(r); err != nil {
			return err
		}
	}
	return nil
}

// create makes every interface in the container's namespace, each with one
// message and under its final name: nothing ever appears on the host.
func (a *attaching) create(ctx context.Context) error {
	for i, in := range a.plan.New {
		r := a.records[i]
		info, err := a.host.WaitLink(ctx, a.ns, linkOf(in, r))
		if err != nil {
			return a.explainCreate(in, err)
		}
		r.LinkIndex = info.Index
		a.undo.push("create "+r.Interface, func(context.Context) error {
			return a.inside.DeleteLink(info.Index)
		})
		a.countSiblings(r)
	}
	return nil
}

func linkOf(in *Interface, r *state.Attachment) network.Link {
	return network.Link{
		Name: r.Interface, ParentIndex: r.ParentIndex, Driver: r.Driver, Mode: r.Mode, Flag: r.IPvlanFlag,
		MAC: macToSet(r), MTU: r.MTU, BCQueueLen: in.Net.BCQueueLen, NoPromisc: in.Net.NoPromisc,
		SourceMACs: in.Net.SourceMACs, Alias: r.Alias(), AltName: r.AltName(),
	}
}

// macToSet is the MAC that an interface is made with; none where it takes its
// parent's.
func macToSet(r *state.Attachment) specs.MAC {
	if hasParentMAC(r.Driver, r.Mode) {
		return specs.MAC{}
	}
	return r.MAC
}

func hasParentMAC(d specs.Driver, m specs.Mode) bool {
	return d == specs.IPvlan || m == specs.ModePassthru
}

func (a *attaching) addAddresses(ctx context.Context) error {
	for _, r := range a.records {
		for _, p := range r.Addresses {
			if err := a.inside.WaitAddress(ctx, a.host, r.LinkIndex, p, true); err != nil {
				return fmt.Errorf("address %s on %q: %w", p, r.Interface, err)
			}
		}
	}
	return nil
}

func (a *attaching) addRoutes(ctx context.Context) error {
	for i, in := range a.plan.New {
		r := a.records[i]
		routes := routesOf(in, r.Addresses)
		for _, route := range routes {
			if err := a.addRoute(ctx, r, route); err != nil {
				return fmt.Errorf("route on %q: %w", r.Interface, err)
			}
		}
		r.Gateways, r.Routes = recordedRoutes(routes)
	}
	return nil
}

func (a *attaching) announce(context.Context) error {
	speaking := a.claimants(func(i int, _ netip.Addr) bool { return hasNeighbours(a.plan.New[i]) })
	if err := network.Announce(a.ns, speaking); err != nil {
		return fmt.Errorf("announce the addresses of container %q: %w", a.ids[0], err)
	}
	return nil
}

// claimants are the interfaces with those of their addresses that take takes.
func (a *attaching) claimants(take func(i int, addr netip.Addr) bool) []network.Claimant {
	var all []network.Claimant
	for i, r := range a.records {
		c := network.Claimant{Index: r.LinkIndex, Name: r.Interface, MAC: r.MAC}
		for _, p := range r.Addresses {
			if take(i, p.Addr()) {
				c.Addresses = append(c.Addresses, p.Addr())
			}
		}
		if len(c.Addresses) > 0 {
			all = append(all, c)
		}
	}
	return all
}
