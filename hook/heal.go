package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/release"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// Heal makes the interfaces again that vanished with their parent, if the parent is back: under
// the same name and with the same MAC, addresses, routes and counter slot. It returns those that
// it made, and the errors of the others, which stay recorded for the next attempt. An
// attachment whose namespace has ended is released.
func (h *Hook) Heal(ctx context.Context) (healed []*state.Attachment, err error) {
	if err := h.Store.UnmarkHeal(); err != nil { // first, so that a mark made meanwhile stays
		return nil, err
	}
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return nil, err
	}
	if err := h.openHost(); err != nil {
		return nil, err
	}
	defer h.host.Close()
	live, err := h.doorAttachments(ctx, Which{}, func(*state.Attachment) bool { return false })
	errs := []error{err}
	for _, a := range live {
		now, err := h.healOne(ctx, a, &cfg)
		if err != nil {
			errs = append(errs, fmt.Errorf("interface %q of container %q: %w", a.Interface, a.Containers[0], err))
		} else if now != nil {
			healed = append(healed, now)
		}
	}
	return healed, errors.Join(errs...)
}

// healOne makes one interface again, under the locks of a start. It returns nil if the
// interface did not vanish, or its parent is not back.
func (h *Hook) healOne(ctx context.Context, seen *state.Attachment, cfg *specs.Config) (*state.Attachment, error) {
	r := h.newReleaser()
	if vanished, err := r.Vanished(ctx, seen); err != nil || !vanished {
		return nil, err
	}
	for _, key := range []string{fmt.Sprintf("namespace %016x", seen.Cookie), seen.Key()} {
		unlock, err := h.Store.Hold(ctx, key)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	a, err := h.recordedAttachment(ctx, seen.Key())
	if err != nil || a == nil {
		return nil, err
	}
	if vanished, err := r.Vanished(ctx, a); err != nil || !vanished {
		return nil, err
	}
	request, err := h.recordedRequest(a)
	if err != nil {
		return nil, err
	}
	if p, _, err := h.host.ParentOrTrunk(request.Net.Parent); errors.Is(err, network.ErrNoLink) || err == nil && !p.Up {
		return nil, nil
	}
	return h.makeAgain(ctx, a, request, cfg)
}

// recordedRequest returns the request that made an attachment, with its network as it is now. The
// policy was applied at the container's start.
func (h *Hook) recordedRequest(a *state.Attachment) (*Request, error) {
	s := specs.Selection{Key: "the recorded selection"}
	text := a.Selection[:max(0, strings.LastIndex(a.Selection, "#"))]
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("read the recorded selection %q: %w; restart the container", a.Selection, err)
	}
	all, err := Resolve([]specs.Selection{s}, nil, "", h.lookupNetwork, nil)
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// makeAgain makes an interface on its parent.
func (h *Hook) makeAgain(
	ctx context.Context, old *state.Attachment, request *Request, cfg *specs.Config,
) (*state.Attachment, error) {
	c, err := h.reopenContainer(old)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	in, facts, err := h.planAgain(c, old, request)
	if err != nil {
		return nil, err
	}
	a := &attaching{
		Hook: h, container: c, slots: cfg.Agent.MaxEndpoints, attachKind: cfg.Agent.Attach, hostAddresses: facts.Host,
		plan: &Plan{New: []*Interface{in}}, records: []*state.Attachment{recordAgain(old, in)}, seen: []addressSightings{{}},
	}
	defer a.releaseLocks()
	if err := a.healSteps(ctx, old); err != nil {
		return nil, errors.Join(err, a.undo.unwind(ctx))
	}
	h.Log.Info("made again", "interface", old.Key(), "parent", a.records[0].Parent, "addresses", a.records[0].Addresses)
	return a.records[0], nil
}

// reopenContainer opens the namespace of an attachment.
func (h *Hook) reopenContainer(a *state.Attachment) (c *container, err error) {
	c = &container{ids: a.Containers, names: a.Annotations, keepDefault: true, door: a.Door}
	if c.ns, err = network.FindHeldNamespace(a.Cookie); err != nil {
		return nil, err
	}
	if err = c.openHandle(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// planAgain plans the interface with the name, MAC and addresses of the record. An address that
// another machine took meanwhile fails the attempt, as a requested one does at a start.
func (h *Hook) planAgain(c *container, a *state.Attachment, request *Request) (*Interface, *Facts, error) {
	f := emptyFacts()
	var err error
	if f.Host, err = h.host.Addresses(); err != nil {
		return nil, nil, fmt.Errorf("list the addresses of the host: %w", err)
	}
	if err := h.gatherParent(f, request.Net); err != nil {
		return nil, nil, err
	}
	if err := h.gatherOccupants(f, request.Net); err != nil {
		return nil, nil, err
	}
	in, err := planInterface(request, f)
	if err != nil {
		return nil, nil, err
	}
	in.Text, in.Name, in.WantMAC = a.Selection, a.Interface, a.MAC
	in.Pools, in.Static = [families][]*ipam.Pool{}, nil
	for _, p := range a.Addresses {
		if !plumb.IsFromDHCP(a, p) {
			in.Static = append(in.Static, p)
		}
	}
	in.Default, err = defaultAgain(c, a, in)
	return in, f, err
}

// defaultAgain returns the families whose default route the interface had. If the engine set it,
// it is not recorded, so it is set where the container has none now.
func defaultAgain(c *container, a *state.Attachment, in *Interface) (had [families]bool, err error) {
	for _, gw := range a.Gateways {
		had[family(gw)] = true
	}
	if a.Door == nil || a.Door.Name != state.DoorDocker || !*in.Net.DefaultRoute {
		return had, nil
	}
	var now [families]bool
	if now[ipv4], now[ipv6], err = c.inside.HasDefaultRoute(); err != nil {
		return had, fmt.Errorf("read the default routes of the container: %w", err)
	}
	for fam := range families {
		had[fam] = had[fam] || !now[fam]
	}
	return had, nil
}

// recordAgain returns the record of the interface on its parent's new index.
func recordAgain(old *state.Attachment, in *Interface) *state.Attachment {
	r := *old
	r.Lost, r.LinkIndex, r.MTU = true, 0, in.MTU
	r.Addresses, r.DHCP = slices.Clone(old.Addresses), slices.Clone(old.DHCP)
	r.Parent, r.ParentIndex, r.TrunkIndex, r.VLAN, r.Outer = in.On.Name, in.On.Index, 0, 0, nil
	if in.MakeVLAN != 0 {
		r.Parent, r.ParentIndex = in.Net.Parent, 0
	}
	if len(in.VLANs) > 0 {
		r.TrunkIndex, r.VLAN, r.Outer = in.VLANs[0].TrunkIndex, in.VLANs[0].ID, in.VLANs[1:]
	}
	if hasParentMAC(r.Driver, r.Mode) {
		r.MAC = in.On.MAC
	}
	r.LinkLocal = expectedLinkLocal(in, &r)
	return &r
}

// healSteps does the steps of a start, with these differences: the leases move instead of being
// claimed, the counter slot and the DHCP leases stay, a link half made is deleted, and the caller
// has made the record and holds its lock.
func (a *attaching) healSteps(ctx context.Context, old *state.Attachment) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"name the namespace", a.nameNamespace},
		{"lock the VLANs", a.lockVLANs},
		{"move the leases", func(ctx context.Context) error { return a.moveLeases(ctx, old) }},
		{"make the VLANs", a.makeVLANs},
		{"delete a link half made", a.deleteHalfMade},
		{"create the interfaces", a.createLinks},
		{"register", func(ctx context.Context) error { return a.registerAgain(ctx, old) }},
		{"set them up", a.setUp},
		{"probe for conflicts", a.settleConflicts},
		{"add addresses", a.addAddresses},
		{"add routes", a.addRoutes},
		{"announce", a.announceAddresses},
		{"commit", a.commitHealed},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			return err
		}
		if err := a.logStep(s.name); err != nil {
			return err
		}
	}
	return nil
}

// moveLeases moves the leases and the uses of VLANs to the parent's new index, and records the
// interface as lost until it is made: a run that is killed is repeated.
func (a *attaching) moveLeases(ctx context.Context, old *state.Attachment) error {
	in, r := a.plan.New[0], a.records[0]
	return a.Store.Update(ctx, func(tx *state.Tx) error {
		use := network.Use{Driver: r.Driver, Mode: r.Mode, Flag: r.IPvlanFlag}
		if err := hostshim.CheckSharing(tx, r.Domain(), use); err != nil {
			return fmt.Errorf("parent %q: %w", in.Net.Parent, err)
		}
		held, err := lease.Move(tx, r.Key(), old.Domain(), r.Domain())
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return fmt.Errorf("address %s or MAC %s was leased to container %s after parent %q vanished; end that container",
				held[0].Addr, held[0].MAC, held[0].Container, r.Parent)
		}
		for i, v := range old.VLANs() {
			if isSameVLAN(old, r, i) { // it stays berth's if berth made it
				continue
			}
			if _, _, err := tx.RemoveVLANUser(v.TrunkIndex, v.ID, r.Key()); err != nil {
				return err
			}
		}
		if err := plumb.Of(r).UseVLAN(tx, in.MakeVLAN != 0); err != nil {
			return err
		}
		return errors.Join(disownRemade(tx, old, r, in), a.putRecord(tx, r))
	})
}

// deleteHalfMade deletes the link of an attempt that was killed.
func (a *attaching) deleteHalfMade(ctx context.Context) error {
	return a.newReleaser().RemoveHalfMade(ctx, a.records[0])
}

// registerAgain lets the datapath count the interface on its new parent, to the slot that it had.
func (a *attaching) registerAgain(ctx context.Context, old *state.Attachment) (err error) {
	if a.maps, err = a.Hook.openMaps(); err != nil {
		a.warnUncounted("all", err)
		a.maps = nil
	}
	if a.maps == nil {
		return nil
	}
	a.free = append(a.free, func() { a.maps.Close() })
	r := a.records[0]
	if !a.hasSlot(r) {
		return nil
	}
	a.attachParents()
	err = a.Store.Exclude(ctx, func() error { return a.maps.Move(release.Endpoint(old), release.Endpoint(r)) })
	if err != nil {
		a.warnUncounted(r.Interface, fmt.Errorf("register with the agent's maps: %w", err))
		return nil
	}
	a.undo.push("register "+r.Interface, func(context.Context) error { return a.maps.Unregister(release.Endpoint(r)) })
	a.attachOwnPrograms(r, release.ProgramsIf(r, !a.unenforced[r.Key()]))
	a.guardSiblings(ctx)
	return nil
}

// commitHealed records the interface as made.
func (a *attaching) commitHealed(ctx context.Context) error {
	a.records[0].Lost, a.records[0].Healed, a.records[0].Vanished = false, time.Now().UTC(), time.Time{}
	return a.commitRecords(ctx)
}
