package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// allParents is the index of flaws that every parent has.
const allParents = 0

// flaws are the reasons, by parent index, why frames may pass uncounted although the
// programs are attached.
type flaws map[int][]string

func (f flaws) addFlaw(index int, err error) {
	if err != nil {
		f[index] = append(f[index], err.Error())
	}
}

// addOnce adds a flaw that several endpoints of a parent may have.
func (f flaws) addOnce(index int, err error) {
	if !slices.Contains(f[index], err.Error()) {
		f.addFlaw(index, err)
	}
}

// markParents sets the state of parents that have a flaw to not counting.
func (f flaws) markParents(parents []specs.ParentStatus) {
	for i := range parents {
		p := &parents[i]
		all := append(f[allParents], f[p.Index]...)
		if len(all) > 0 && p.State == specs.ParentCounting {
			p.State, p.Problem = specs.ParentFailed, strings.Join(all, "; ")
		}
	}
}

// aheadText returns a sentence on the programs that get the parent's frames before berth's,
// with the remedy, or "" if there are none.
func aheadText(parent string, at bpf.Attachment) string {
	if len(at.ProgramsAhead) == 0 {
		return ""
	}
	help := "remove it, or attach it after berth's"
	if at.Kind == bpf.TCX && !strings.Contains(at.ProgramsAhead[0], " on \"") { // of the parent itself, by TC
		help += ": `berth agent detach` and `berth agent attach` put berth's first"
	}
	return fmt.Sprintf("parent %q: frames may pass uncounted, because berth's programs run after %s; %s",
		parent, strings.Join(at.ProgramsAhead, ", "), help)
}

// detachParent removes the programs from a parent that is no longer wanted. If a hook has
// recorded an attachment on it since the records were read, it relies on the programs, and
// they stay.
func (a *Agent) detachParent(ctx context.Context, index int, links []link) error {
	if a.off || !slices.ContainsFunc(links, func(l link) bool { return l.index == index }) {
		return a.datapath.Detach(index) // no attachment can be recorded on an interface that is gone
	}
	return a.store.View(ctx, func(tx *state.Tx) error {
		for _, domain := range domainsOf(index, links) {
			if user, err := tx.OneInDomain(domain); err != nil || user != nil {
				return err
			}
		}
		return a.datapath.Detach(index)
	})
}

// domainsOf returns the layer-2 domains of the attachments on an interface.
func domainsOf(index int, links []link) []string {
	all := []string{(&state.Attachment{ParentIndex: index}).Domain()}
	for _, l := range links {
		if l.index == index && l.vlan != 0 {
			all = append(all, (&state.Attachment{TrunkIndex: l.trunk, VLAN: l.vlan}).Domain())
		}
	}
	return all
}

// addSlotFlaws adds a flaw for each parent with endpoints that have no counter slot in the
// maps.
func (a *Agent) addSlotFlaws(all []*record, f flaws) {
	if a.datapath == nil || a.off {
		return
	}
	slots, n := a.datapath.Maps().Slots(), make(map[int]int)
	for _, r := range all {
		if r.isLive() && !r.observed && (r.slot == 0 || r.slot >= slots) {
			n[r.parentIndex]++
		}
	}
	for index, n := range n {
		f.addFlaw(index, fmt.Errorf("%d interfaces are not counted, because no counter slot is free; "+
			"raise max_endpoints under [agent] in berth.toml and restart berthd", n))
	}
}

// reconcileNow makes the loop reconcile, so that the answer is current. It waits at most
// answerWithin.
func (a *Agent) reconcileNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := a.runInLoop(ctx, func() error { return nil })
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the agent did not reconcile within %s, so this may be out of date; if it persists, restart berthd",
			answerWithin)
	}
	return err
}

// rehomeStrays corrects the records of attachments whose parent's recorded index does not exist,
// and reports whether there were any. It runs once per set of links, as a parent may be
// missing for long.
func (a *Agent) rehomeStrays(ctx context.Context, w *world, note func(error)) bool {
	there, names := make(map[int]bool), fmt.Sprint(a.generation)
	for _, l := range w.links {
		there[l.index] = true
		names += fmt.Sprintf(" %d %s", l.index, l.name)
	}
	strays := slices.ContainsFunc(w.records, func(r *record) bool {
		return r.isLive() && !r.observed &&
			r.parentIndex != 0 && !there[r.parentIndex]
	})
	if !strays || names == a.rehomedLinks {
		return false
	}
	a.rehomedLinks = names
	moved, err := a.rehomeAttachments(ctx)
	note(err)
	return moved > 0
}
