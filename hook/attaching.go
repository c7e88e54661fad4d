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

// attaching applies one plan to the kernel. Its undo stack holds the steps done
// so far.
type attaching struct {
	*Hook
	*container
	plan       *Plan
	slots      uint32 // number of counter slots
	attachKind string // "auto", "tcx" or "clsact": agent.attach of berth.toml
	undo       undo
	free       []func() // run at the end, after success and failure alike

	hostAddresses []netip.Addr // the host's own

	unlockVLANs func() // nil unless held: from the check of a VLAN until the VLAN is made

	unenforced    map[string]bool     // keys of records in whose layer-2 domain nothing was enforced when they were put
	firstEnforced bool                // whether a record is the first that enforces in its domain
	unreceived    []*state.Attachment // those of unenforced in whose domain something was enforced since

	nsid     int
	maps     *bpf.Maps           // nil without an agent
	records  []*state.Attachment // of plan.New, in its order
	rejected plumb.Rejected
	seen     []addressSightings // of plan.New, in its order
}

// runSteps does the steps in order: the record is written before the kernel shows anything, and
// an endpoint is registered before it can send a frame. Its interface is made before that: if a
// registered interface does not exist, the datapath takes the namespace's other interfaces for
// forgers.
func (a *attaching) runSteps(ctx context.Context) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"ask for former addresses", a.askFormer},
		{"name the namespace", a.nameNamespace},
		{"make the records", a.makeRecords},
		{"lock the VLANs", a.lockVLANs},
		{"claim", a.claimResources},
		{"make the VLANs", a.makeVLANs},
		{"create the interfaces", a.createLinks},
		{"register", a.registerEndpoints},
		{"set them up", a.setUp},
		{"get DHCP leases", a.getDHCPLeases},
		{"probe for conflicts", a.settleConflicts},
		{"add addresses", a.addAddresses},
		{"add routes", a.addRoutes},
		{"announce", a.announceAddresses},
		{"commit", a.commitRecords},
	}
	for _, s := range steps {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("stopped before the step %q: %w", s.name, err)
		}
		if err := s.do(ctx); err != nil {
			return err
		}
		if err := a.logStep(s.name); err != nil {
			return err
		}
	}
	return nil
}

// releaseLocks releases the locks and maps that a run holds only while it works.
func (a *attaching) releaseLocks() {
	a.unlockVLANsNow()
	for i := len(a.free) - 1; i >= 0; i-- {
		a.free[i]()
	}
	a.free = nil
}

// nameNamespace assigns the namespace an ID in the host's namespace. By that ID
// its links can be read and deleted later, without a process or a path. The ID
// ends with the namespace, so there is nothing to undo.
func (a *attaching) nameNamespace(context.Context) (err error) {
	if a.nsid, err = a.host.AssignNSID(a.ns); err != nil {
		return fmt.Errorf("assign an id to the network namespace of container %q: %w", a.ids[0], err)
	}
	return nil
}

// holdWait bounds the wait for another run that works on the same attachment. A
// run that only collects holds it for milliseconds.
const holdWait = 2 * time.Second

// makeRecords makes the records of this run, and locks their keys until releaseLocks. If the
// process dies, the kernel frees the locks.
func (a *attaching) makeRecords(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, holdWait)
	defer cancel()
	for _, in := range a.plan.New {
		r := a.newRecord(in)
		unlock, err := a.Store.Hold(ctx, r.Key())
		if err != nil {
			return fmt.Errorf("interface %q of container %q is being made or released by another process of berth: %w; "+
				"start the container again", in.Name, a.ids[0], err)
		}
		a.free = append(a.free, unlock)
		a.records = append(a.records, r)
		a.seen = append(a.seen, addressSightings{})
	}
	return nil
}

func (a *attaching) newRecord(in *Interface) *state.Attachment {
	r := &state.Attachment{
		Cookie: a.cookie, NSID: a.nsid, Containers: slices.Clone(a.ids), Annotations: a.names,
		Network: in.Net.Name, Driver: in.Net.Driver, Mode: in.Net.Mode, IPvlanFlag: in.Net.IPvlanFlag,
		Parent: in.On.Name, ParentIndex: in.On.Index,
		Interface: in.Name, MAC: in.WantMAC, MTU: in.MTU, SourceMACs: in.Net.SourceMACs,
		IPv6: in.Net.IPv6, IPv6Token: in.Net.IPv6Token, Enforce: in.Net.Enforce, Allow: in.Net.Allow,
		Phase: specs.PhaseAttaching, Created: time.Now().UTC(), Selection: in.Text, Door: a.door, NoHeal: !in.Net.Heals(),
	}
	if in.MakeVLAN != 0 {
		r.Parent, r.ParentIndex = in.Net.Parent, 0
	}
	if len(in.VLANs) > 0 {
		r.TrunkIndex, r.VLAN, r.Outer = in.VLANs[0].TrunkIndex, in.VLANs[0].ID, in.VLANs[1:]
	}
	return r
}

// makeVLANs makes the VLAN parents that do not exist yet, and brings each up.
func (a *attaching) makeVLANs(ctx context.Context) error {
	defer a.unlockVLANsNow()
	existed := make(map[plumb.VLAN]bool) // whether each VLAN existed before this run
	for i, in := range a.plan.New {
		if in.MakeVLAN == 0 {
			continue
		}
		trunk, _, _ := specs.SplitVLAN(in.Net.Parent)
		p, made, err := a.host.EnsureVLAN(trunk, in.MakeVLAN)
		if err != nil {
			return fmt.Errorf("parent %q: %w", in.Net.Parent, err)
		}
		a.records[i].Parent, a.records[i].ParentIndex = p.Name, p.Index
		v := plumb.VLAN{Trunk: p.TrunkIndex, ID: p.VLAN}
		if _, known := existed[v]; !known {
			existed[v] = !made
		}
	}
	if len(existed) == 0 {
		return nil
	}
	// The parent's index is recorded now: after a kill, a collection deletes the endpoint's keys in
	// the datapath, which contain it.
	return a.Store.Update(ctx, func(tx *state.Tx) error {
		for v, before := range existed {
			if !before {
				continue
			}
			if err := tx.DisownVLAN(v.Trunk, v.ID); err != nil {
				return err
			}
		}
		return a.putRecords(tx)
	})
}

// unlockVLANsNow frees the locks of VLANs, if this run has any.
func (a *attaching) unlockVLANsNow() {
	if a.unlockVLANs != nil {
		a.unlockVLANs()
	}
	a.unlockVLANs = nil
}

func (a *attaching) putRecords(tx *state.Tx) error {
	for _, r := range a.records {
		if err := tx.Put(r); err != nil {
			return err
		}
	}
	return nil
}

// createLinks makes every interface in the container's namespace, by one message and
// under its final name: no interface ever appears on the host.
func (a *attaching) createLinks(ctx context.Context) error {
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

// macToSet returns the MAC with which an interface is made, or the zero MAC if it
// takes its parent's.
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
			if plumb.IsFromDHCP(r, p) {
				continue
			}
			if err := a.inside.WaitAddress(ctx, a.host, r.LinkIndex, p, true); err != nil {
				return fmt.Errorf("interface %q: %w", r.Interface, err)
			}
		}
		if err := a.addDHCPAddresses(ctx, r); err != nil {
			return err
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
				return fmt.Errorf("interface %q: %w", r.Interface, err)
			}
		}
		leased, err := a.addDHCPRoutes(r)
		if err != nil {
			return err
		}
		r.Gateways, r.Routes = recordedRoutes(append(routes, leased...))
	}
	return nil
}

func (a *attaching) announceAddresses(context.Context) error {
	speaking := a.claimants(func(i int, _ netip.Addr) bool { return hasNeighbours(a.plan.New[i]) })
	if err := network.Announce(a.ns, speaking); err != nil {
		return fmt.Errorf("announce the addresses of container %q: %w", a.ids[0], err)
	}
	return nil
}

// claimants returns the interfaces, each with those of its addresses for which
// take returns true.
func (a *attaching) claimants(take func(i int, addr netip.Addr) bool) []network.Claimant {
	var all []network.Claimant
	for i, r := range a.records {
		c := network.Claimant{Index: r.LinkIndex, Name: r.Interface, MAC: r.MAC, Parent: a.plan.New[i].On.MAC}
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
