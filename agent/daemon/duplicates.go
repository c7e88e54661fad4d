package daemon

import (
	"fmt"
	"net/netip"
	"time"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// duplicate is an address that an observed interface and an attachment have on one parent.
type duplicate struct {
	at    *state.Attachment
	owner *record
	addr  netip.Addr
}

// reportDuplicates reports each observed interface that has the address of an attachment on
// its parent. It reports a pair of them once, until the address is no longer on both. The
// violation is counted for the observed interface; the attachment is the event's owner.
func (o *observer) reportDuplicates(now *reading) error {
	found, err := o.findDuplicates(now)
	if err != nil {
		return fmt.Errorf("compare the addresses of observed interfaces: %w", err)
	}
	reported := make(map[string]bool, len(found))
	for _, d := range found {
		id := fmt.Sprintf("%s %s %s", d.at.Key(), d.addr, d.owner.key)
		if reported[id] = true; !o.duplicates[id] {
			o.reportDuplicate(d)
		}
	}
	o.duplicates = reported
	return nil
}

func (o *observer) findDuplicates(now *reading) (found []duplicate, err error) {
	return found, o.a.maps.useMaps(func(maps *bpf.Maps) error {
		if maps == nil {
			return nil
		}
		for _, at := range o.known {
			for _, p := range at.Addresses {
				owner, err := ownerOf(maps, now, at, p.Addr())
				if err != nil {
					return err
				}
				if owner != nil {
					found = append(found, duplicate{at, owner, p.Addr()})
				}
			}
		}
		return nil
	})
}

// ownerOf returns the attachment that has an address of an observed interface on the same parent,
// as the datapath knows it, or nil if there is none. One namespace may have an address on two
// interfaces.
func ownerOf(maps *bpf.Maps, now *reading, at *state.Attachment, addr netip.Addr) (*record, error) {
	slot, err := maps.SlotOf(at.ParentIndex, addr)
	if err != nil || slot == 0 || slot == at.Slot {
		return nil, err
	}
	owner := now.recordOfSlot(slot)
	switch {
	case owner == nil, owner.observed, at.Cookie != 0 && at.Cookie == owner.cookie,
		owner.phase != specs.PhaseAttached: // its hook still probes for the address, and may exchange it
		return nil, nil
	}
	return owner, nil
}

func (o *observer) reportDuplicate(d duplicate) {
	sender := newRecord(d.at, make(intern))
	if stored := o.a.recordOfSlot(d.at.Slot); stored != nil {
		sender = stored // it has the engine's name
	}
	if d.at.Slot != 0 {
		err := o.a.maps.useMaps(func(maps *bpf.Maps) error {
			if maps == nil {
				return nil
			}
			return maps.AddViolation(d.at.Slot, specs.DuplicateIP, 1)
		})
		if err != nil {
			o.a.log.Warn("cannot count a duplicate address", "interface", d.at.Key(), "error", err)
		}
	}
	o.a.emitEvent(specs.Event{
		Time: time.Now(), Kind: specs.DuplicateIP, Certainty: specs.Certain, Evidence: specs.ByNetlink,
		Parent: d.at.Parent, Sender: partyOf(sender), Owner: partyOf(d.owner),
		Detail: fmt.Sprintf("interface %q, which berth did not create, has the address %s of an attachment",
			d.at.Interface, d.addr),
	})
}
