package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"berth/bpf"
	"berth/internal/hostshim"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// lacking holds the texts for interfaces that lack a program of their own.
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

// noReceiver is lacking for the receiver program, on a parent with a network that enforces.
var noReceiver = lacking{
	parent: errors.New("forged multicast and broadcast frames can reach some of its interfaces " +
		"although a sibling's network enforces rules"),
	problem: "%d macvlan interfaces lack the receiver program, so forged multicast and broadcast frames can reach them " +
		"although a sibling's network enforces rules; `berth gc` attaches it",
}

// noGuard is lacking for the guard program, on a parent with a network that enforces.
var noGuard = lacking{
	parent: errors.New("forged frames can reach some of its ipvlan interfaces " +
		"although a sibling's network enforces rules"),
	problem: "%d ipvlan interfaces lack the guard program, so forged frames that a sibling sends past its own program " +
		"can reach them although its network enforces rules; `berth gc` attaches it",
}

// textsOf returns the texts for a record that lacks a program.
func (r *record) textsOf(o bpf.OwnProgram) lacking {
	switch o {
	case bpf.ReceiverProgram:
		return noReceiver
	case bpf.GuardProgram:
		return noGuard
	}
	return lacks[r.Driver]
}

// ingressProgram returns the program that a record with ingress needs there.
func (r *record) ingressProgram() bpf.OwnProgram {
	if r.Driver == specs.IPvlan {
		return bpf.GuardProgram
	}
	return bpf.ReceiverProgram
}

// enforcedParents returns the parents on which an interface enforces rules, for group frames if
// it is in mode bridge.
func enforcedParents(all []*record) map[int]bool {
	parents := make(map[int]bool)
	for _, r := range all {
		if r.sibling && r.enforces && r.isLive() {
			parents[r.parentIndex] = true
		}
	}
	return parents
}

// missingSiblingPrograms returns a problem if interfaces lack a program of their own, because they
// were attached before this agent or the program was removed. Attaching it needs entry into
// their namespaces, which the agent may not have.
func (a *Agent) missingSiblingPrograms(ctx context.Context, all []*record, faults flaws) error {
	if a.datapath == nil || a.off {
		return nil
	}
	if err := a.datapath.OwnProgramsError(); err != nil {
		return siblingsUnsupported(all, err, faults)
	}
	var some []*record
	linked, enforced := a.datapath.LinkedInsides(), enforcedParents(all)
	for _, r := range all {
		ingress := r.ingress && enforced[r.parentIndex]
		known := r.inside.Load() == a.generation && (!r.sibling || linked(bpf.SiblingProgram, r.slot)) &&
			(!ingress || linked(r.ingressProgram(), r.slot))
		if (r.sibling || ingress) && r.phase == specs.PhaseAttached && !known {
			some = append(some, r)
		}
	}
	n, unmarked := make(map[string]int), make(map[int]bool)
	for part := range slices.Chunk(some, chunk) {
		if err := a.countMissing(ctx, part, enforced, n, unmarked, faults); err != nil {
			return fmt.Errorf("look for the interfaces' own programs: %w", err)
		}
	}
	errs := []error{a.setGuarded(all, enforced, unmarked)}
	for _, of := range []lacking{lacks[specs.IPvlan], lacks[specs.Macvlan], noReceiver, noGuard} {
		if n[of.problem] > 0 {
			errs = append(errs, fmt.Errorf(of.problem, n[of.problem]))
		}
	}
	return oneLine(errors.Join(errs...))
}

// setGuarded sets for each parent of ipvlan interfaces whether one of those enforces rules, and
// whether one lacks the sibling program.
func (a *Agent) setGuarded(all []*record, enforced, unmarked map[int]bool) error {
	var errs []error
	done := make(map[int]bool)
	for _, r := range all {
		if r.Driver == specs.IPvlan && r.isLive() && !done[r.parentIndex] {
			done[r.parentIndex] = true
			errs = append(errs, a.datapath.Maps().SetGuarded(r.parentIndex, enforced[r.parentIndex], unmarked[r.parentIndex]))
		}
	}
	return errors.Join(errs...)
}

// countMissing adds the number of interfaces without a program to n, by the problem's text, the
// parents of ipvlan interfaces without the sibling program to unmarked, and the flaws of parents
// to faults. Programs on ingress are needed on the enforced parents alone.
func (a *Agent) countMissing(ctx context.Context, some []*record, enforced map[int]bool, n map[string]int,
	unmarked map[int]bool, faults flaws) error {
	return a.store.View(ctx, func(tx *state.Tx) error {
		for _, r := range some {
			at, err := tx.Attachment(r.key)
			if err != nil {
				continue // it has ended in between
			}
			lacked, err := release.LackedPrograms(a.datapath.Maps(), at)
			if err != nil {
				return err
			}
			if len(lacked) == 0 {
				r.inside.Store(a.generation)
				continue
			}
			if lacked[0] != bpf.SiblingProgram && !enforced[r.parentIndex] || a.isLinkGone(at) {
				continue // nothing is enforced yet, or it sends nothing any more
			}
			texts := r.textsOf(lacked[0])
			n[texts.problem]++
			if r.Driver == specs.IPvlan && lacked[0] == bpf.SiblingProgram {
				unmarked[r.parentIndex] = true
			}
			faults.addOnce(r.parentIndex, texts.parent)
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
func siblingsUnsupported(all []*record, why error, faults flaws) error {
	var errs []error
	for _, driver := range []specs.Driver{specs.IPvlan, specs.Macvlan} {
		any := false
		for _, r := range all {
			if r.sibling && (!r.apart || r.enforces) && r.Driver == driver && r.isLive() {
				any = true
				faults.addOnce(r.parentIndex, lacks[driver].parent)
			}
		}
		if any {
			errs = append(errs, fmt.Errorf("%s: %w; %s", lacks[driver].kernel, why, lacks[driver].instead))
		}
	}
	return oneLine(errors.Join(errs...))
}

// attachShims attaches the shim program to the host's own ipvlan interfaces.
func (a *Agent) attachShims(ctx context.Context) error {
	if a.datapath == nil || a.off {
		return nil
	}
	indices := make(map[int]bool)
	err := a.store.View(ctx, func(tx *state.Tx) error {
		shims, err := hostshim.All(tx)
		for _, r := range shims {
			if r.Driver == specs.IPvlan && r.Enabled && r.LinkIndex != 0 {
				indices[r.LinkIndex] = true
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the host's own interfaces: %w", err)
	}
	a.datapath.KeepShims(indices)
	var errs []error
	for index := range indices {
		if err := a.datapath.AttachShim(index); !errors.Is(err, unix.ENODEV) { // else it is gone
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
