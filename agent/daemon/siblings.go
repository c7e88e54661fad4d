package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// lacking holds the texts for interfaces that lack the sibling program, by their driver.
type lacking struct {
	parent  error  // the flaw of their parent
	problem string // with the number of interfaces
	kernel  string // if the kernel cannot run the program
	instead string // the remedy then
}

var lacks = map[specs.Driver]lacking{
	specs.IPvlan: {
		parent: errors.New("frames that some of its ipvlan interfaces send to siblings are not counted"),
		problem: "%d ipvlan interfaces lack the sibling program, so their frames to siblings are not counted; `berth gc` " +
			"attaches it",
		kernel:  "frames between ipvlan siblings are not counted",
		instead: "set ipvlan_flag = \"private\" in the network's file to forbid such frames",
	},
	specs.Macvlan: {
		parent: errors.New("multicast and broadcast frames of some of its interfaces reach siblings although their " +
			"network enforces rules"),
		problem: "%d macvlan interfaces lack the sibling program, so their multicast and broadcast frames reach siblings " +
			"although their network enforces rules; `berth gc` attaches it",
		kernel:  "multicast and broadcast frames of macvlan interfaces reach siblings although their network enforces rules",
		instead: "set mode = \"private\" in the network's file to forbid such frames",
	},
}

// missingSiblingPrograms returns a problem if interfaces lack the sibling program, because they were
// attached before this agent or the program was removed. Attaching it needs entry into
// their namespaces, which the agent may not have.
func (a *Agent) missingSiblingPrograms(ctx context.Context, all []*record, found flaws) error {
	if a.datapath == nil || a.off {
		return nil
	}
	if err := a.datapath.CountsSiblings(); err != nil {
		return siblingsUnsupported(all, err, found)
	}
	var some []*record
	linked := a.datapath.LinkedInsides()
	for _, r := range all {
		known := r.inside.Load() == a.epoch && linked(r.slot)
		if r.sibling && r.phase == specs.PhaseAttached && !known {
			some = append(some, r)
		}
	}
	n := make(map[specs.Driver]int)
	for part := range slices.Chunk(some, chunk) {
		if err := a.countMissing(ctx, part, n, found); err != nil {
			return fmt.Errorf("look for the sibling program: %w", err)
		}
	}
	var errs []error
	for _, driver := range []specs.Driver{specs.IPvlan, specs.Macvlan} {
		if n[driver] > 0 {
			errs = append(errs, fmt.Errorf(lacks[driver].problem, n[driver]))
		}
	}
	return oneLine(errors.Join(errs...))
}

// countMissing adds the number of interfaces without the program to n, by driver, and the
// flaws of their parents to found.
func (a *Agent) countMissing(ctx context.Context, some []*record, n map[specs.Driver]int, found flaws) error {
	return a.store.View(ctx, func(tx *state.Tx) error {
		for _, r := range some {
			at, err := tx.Attachment(r.key)
			if err != nil {
				continue // it has ended in between
			}
			missing, err := release.Uncounted(a.datapath.Maps(), []*state.Attachment{at})
			if err != nil {
				return err
			}
			if len(missing) == 0 {
				r.inside.Store(a.epoch)
				continue
			}
			if a.isLinkGone(at) {
				continue // it sends nothing any more
			}
			n[at.Driver]++
			found.addOnce(r.parentIndex, lacks[at.Driver].parent)
		}
		return nil
	})
}

// isLinkGone reports whether the interface of an attachment was deleted: its container has
// ended and the attachment is not released yet.
func (a *Agent) isLinkGone(at *state.Attachment) bool {
	if at.NSID < 0 {
		return false
	}
	for _, name := range []string{at.AltName(), at.Interface} {
		if _, err := a.inside(at.NSID, name); !network.IsGone(err) {
			return false
		}
	}
	return true
}

// siblingsUnsupported returns the problem of missingSiblingPrograms if the kernel cannot run
// the sibling program.
func siblingsUnsupported(all []*record, why error, found flaws) error {
	var errs []error
	for _, driver := range []specs.Driver{specs.IPvlan, specs.Macvlan} {
		any := false
		for _, r := range all {
			if r.sibling && r.Driver == driver && r.isLive() {
				any = true
				found.addOnce(r.parentIndex, lacks[driver].parent)
			}
		}
		if any {
			errs = append(errs, fmt.Errorf("%s: %w; %s", lacks[driver].kernel, why, lacks[driver].instead))
		}
	}
	return oneLine(errors.Join(errs...))
}
