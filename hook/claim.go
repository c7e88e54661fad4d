package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// errShareEnding is returned if an attachment that the container was to share is being released,
// so that the facts of the plan are out of date.
var errShareEnding = errors.New("the attachment that the container shares is being released; start the container again")

// errParentMoved is returned if a parent, or its trunk, was replaced or deleted since the facts were
// gathered.
var errParentMoved = errors.New("the interface was replaced or deleted meanwhile; start the container again")

// lockVLANs locks every VLAN that is a parent, because netlink is not part of the
// transaction: no other run may remove a VLAN between its record and its use.
// Once it is recorded and made, its user count keeps it.
func (a *attaching) lockVLANs(ctx context.Context) error {
	var err error
	if a.unlockVLANs, err = a.lockEach(ctx); err != nil {
		return err
	}
	for i, r := range a.records {
		if r.VLAN == 0 {
			continue
		}
		if err := a.recheckVLAN(a.plan.New[i], r); err != nil {
			return err
		}
	}
	return nil
}

// lockEach locks each VLAN once.
func (a *attaching) lockEach(ctx context.Context) (unlock func(), err error) {
	var vlans []plumb.VLAN
	for _, r := range a.records {
		vlans = append(vlans, plumb.VLANsOf(r.VLANs())...)
	}
	return plumb.LockVLANs(ctx, a.Store, vlans)
}

// recheckVLAN updates the plan and the record of an interface to the VLAN as it is now, under its
// lock: another run may have made or removed it since the facts were gathered. It returns
// errParentMoved if the trunk, or a VLAN of the chain, is another one.
func (a *attaching) recheckVLAN(in *Interface, r *state.Attachment) error {
	p, id, err := a.host.ParentOrTrunk(in.Net.Parent)
	if errors.Is(err, network.ErrNoLink) {
		return fmt.Errorf("parent %q: %w", in.Net.Parent, errParentMoved)
	}
	if err != nil {
		return fmt.Errorf("parent %q: %w", in.Net.Parent, err)
	}
	now, err := plumb.Chain(a.host, p, id, in.Net.Parent)
	if err != nil {
		return fmt.Errorf("parent %q: %w", in.Net.Parent, err)
	}
	if !slices.Equal(plumb.VLANsOf(now), plumb.VLANsOf(in.VLANs)) {
		return fmt.Errorf("parent %q: %w", in.Net.Parent, errParentMoved)
	}
	in.MakeVLAN, r.Parent, r.ParentIndex = id, p.Name, p.Index
	if id != 0 {
		r.Parent, r.ParentIndex = in.Net.Parent, 0
	}
	return nil
}

// claimResources claims everything that the attachments need and records them as
// attaching, in one transaction: all or nothing.
func (a *attaching) claimResources(ctx context.Context) error {
	err := a.Store.Update(ctx, func(tx *state.Tx) error {
		for i, in := range a.plan.New {
			if err := a.claimInterface(tx, in, a.records[i]); err != nil {
				return in.At(err)
			}
			a.readSightings(tx, i)
		}
		return a.shareAttachments(tx)
	})
	if err != nil {
		return err
	}
	a.undo.push("claim", a.undoClaim)
	return nil
}

func (a *attaching) claimInterface(tx *state.Tx, in *Interface, r *state.Attachment) (err error) {
	use := network.Use{Driver: r.Driver, Mode: r.Mode, Flag: r.IPvlanFlag}
	if err := hostshim.CheckSharing(tx, r.Domain(), use); err != nil {
		return fmt.Errorf("parent %q: %w", in.Net.Parent, err)
	}
	if err := a.freeReserved(tx, in); err != nil {
		return err
	}
	stake := plumb.Of(r)
	had, err := a.claimAddresses(tx, in, r, stake)
	if err != nil {
		return err
	}
	claim := claimMAC
	if in.Net.Clustered() {
		claim = claimSharedMAC
	}
	if err := claim(lease.In(tx, stake.Domain), in, r, had.MAC, stake.Owner); err != nil {
		return err
	}
	if r.Slot, err = tx.ClaimSlot(a.slots); errors.Is(err, state.ErrNoSlot) {
		a.Log.Warn("not counted: no counter slot is free; raise [agent] max_endpoints in berth.toml",
			"interface", r.Interface)
	} else if err != nil {
		return err
	}
	if err := stake.UseVLAN(tx, in.MakeVLAN != 0); err != nil {
		return err
	}
	r.LinkLocal = expectedLinkLocal(in, r)
	return a.putRecord(tx, r)
}

// claimAddresses claims the requested addresses and the token of an interface, and takes the
// other addresses from its pools. It returns the earlier addresses and MAC of the interface if
// its network is sticky, else the zero Memory.
func (a *attaching) claimAddresses(tx *state.Tx, in *Interface, r *state.Attachment,
	stake *plumb.Stake) (had lease.Memory, err error) {
	if err := stake.Claim(tx, in.Net, in.Static); err != nil {
		return had, specs.At("ips", err)
	}
	if err := claimToken(tx, stake, r.IPv6Token); err != nil {
		return had, err
	}
	r.Addresses = slices.Clone(in.Static)
	if in.Had = a.recallAddresses(tx, in); in.Net.Sticky {
		had = in.Had
	}
	for fam := range families {
		if len(in.Pools[fam]) == 0 {
			continue
		}
		p, err := stake.TakeAgain(tx, in.Pools[fam], had.Addresses)
		if err != nil {
			return had, err
		}
		r.Addresses = append(r.Addresses, p)
	}
	return had, nil
}

// claimToken leases the interface identifier of a network, as an address: two interfaces of one
// layer-2 domain would form the same address.
func claimToken(tx *state.Tx, stake *plumb.Stake, token netip.Addr) error {
	if !token.IsValid() {
		return nil
	}
	return specs.At("ipv6_token", lease.In(tx, stake.Domain).ClaimAddr(token, stake.Owner))
}

// freeReserved frees the leases of the addresses that the engine has reserved for the interface,
// so that this transaction can claim them for it.
func (a *attaching) freeReserved(tx *state.Tx, in *Interface) error {
	if a.reserved == "" {
		return nil
	}
	for _, p := range in.Static {
		if err := lease.FreeForClaim(tx, lease.ReservationKey(a.reserved, p.Addr())); err != nil {
			return err
		}
	}
	return nil
}

func claimMAC(leases *lease.Leases, in *Interface, r *state.Attachment, had specs.MAC, owner lease.Owner) (err error) {
	switch {
	case hasParentMAC(r.Driver, r.Mode):
		r.MAC = in.On.MAC
	case in.WantMAC.IsZero() && !had.IsZero() && leases.ClaimMAC(had, owner) == nil:
		r.MAC = had
	case in.WantMAC.IsZero():
		r.MAC, err = leases.TakeMAC(owner)
	case in.WantMAC == in.On.MAC:
		err = specs.Unusable("mac", in.WantMAC.String(), "it is the parent's own MAC")
	default:
		err = specs.At("mac", leases.ClaimMAC(in.WantMAC, owner))
	}
	return err
}

// claimSharedMAC is claimMAC for a network whose pool is shared: a MAC that berth chooses begins
// with this node's prefix, also if it is derived from the container's name.
func claimSharedMAC(leases *lease.Leases, in *Interface, r *state.Attachment, had specs.MAC,
	owner lease.Owner) (err error) {
	domain := in.Net.Domain
	switch {
	case hasParentMAC(r.Driver, r.Mode) || in.WantMAC == in.On.MAC:
		return claimMAC(leases, in, r, had, owner)
	case !in.Request.MAC.IsZero():
		err = specs.At("mac", leases.ClaimSharedMAC(domain, in.WantMAC, owner))
	case in.WantMAC.IsZero() && !had.IsZero() && leases.ClaimSharedMAC(domain, had, owner) == nil:
		r.MAC = had
	default:
		r.MAC, err = leases.TakeSharedMAC(domain, owner, in.WantMAC)
	}
	return err
}

// shareAttachments adds the container to the attachments that its namespace already has.
func (a *attaching) shareAttachments(tx *state.Tx) error {
	for _, kept := range a.plan.Kept {
		r, err := tx.Attachment(kept.Key())
		if errors.Is(err, state.ErrNotFound) {
			return errShareEnding
		}
		if err != nil {
			return err
		}
		if r.Leaving || r.Phase != specs.PhaseAttached {
			return errShareEnding
		}
		if slices.Contains(r.Containers, a.ids[0]) {
			continue
		}
		r.Containers = append(r.Containers, a.ids[0])
		if err := tx.Put(r); err != nil {
			return err
		}
	}
	return nil
}
