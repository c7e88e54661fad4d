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

// allParents is the index under which a flaw of every parent is.
const allParents = 0

// flaws are reasons why frames may pass uncounted at a parent whose programs
// are attached, by its index.
type flaws map[int][]string

func (f flaws) add(index int, err error) {
	if err != nil {
		f[index] = append(f[index], err.Error())
	}
}

// mark makes the parents that have a flaw no longer count as counting.
func (f flaws) mark(parents []specs.ParentStatus) {
	for i := range parents {
		p := &parents[i]
		all := append(f[allParents], f[p.Index]...)
		if len(all) > 0 && p.State == specs.ParentCounting {
			p.State, p.Problem = specs.ParentFailed, strings.Join(all, "; ")
		}
	}
}

// aheadText says what gets the frames of a parent before the programs do, and
// what helps; "" if nothing does.
func aheadText(parent string, at bpf.Attachment) string {
	if len(at.Ahead) == 0 {
		return ""
	}
	help := "take it off, or have it run after berth's"
	if at.Kind == bpf.TCX && !strings.HasPrefix(at.Ahead[0], "XDP") {
		help += ": `berth agent detach` and `berth agent attach` put berth's first"
	}
	return fmt.Sprintf("parent %q: frames may pass uncounted, as berth's programs run after %s; %s",
		parent, strings.Join(at.Ahead, ", "), help)
}

// detach takes the programs off a parent that is no longer wanted. A hook may
// have recorded an attachment on it since the records were read, and found the
// programs there: then they stay.
func (a *Agent) detach(ctx context.Context, index int, links []link) error {
	if a.off || !slices.ContainsFunc(links, func(l link) bool { return l.index == index }) {
		return a.datapath.Detach(index) // nothing can be recorded on an interface that is gone
	}
	return a.store.View(ctx, func(tx *state.Tx) error {
		for _, domain := range domainsOf(index, links) {
			if user, err := tx.OnParent(domain); err != nil || user != nil {
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

// withoutSlot adds the parents on which endpoints are that have no counter slot
// in the maps.
func (a *Agent) withoutSlot(all []*record, f flaws) {
	if a.datapath == nil || a.off {
		return
	}
	slots, n := a.datapath.Maps().Slots(), make(map[int]int)
	for _, r := range all {
		if r.live() && (r.slot == 0 || r.slot >= slots) {
			n[r.parentIndex]++
		}
	}
	for index, n := range n {
		f.add(index, fmt.Errorf("interfaces that are not counted, as no counter slot is free: %d; "+
			"raise max_endpoints under [agent] in berth.toml and restart berthd", n))
	}
}

// lookNow has the loop look at everything, so that an answer is true when it is
// given. It waits no longer than an answer may take.
func (a *Agent) lookNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := a.ask(ctx, func() error { return nil })
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the agent has not come to look at the parents for %s", answerWithin)
	}
	return err
}

// rehome corrects the records of attachments on a parent that is not there by
// its recorded index, and reports whether there were any. It is done once as
// long as the links stay the same: a parent may be away for long.
func (a *Agent) rehome(ctx context.Context, w *world, note func(error)) bool {
	there, names := make(map[int]bool), fmt.Sprint(a.epoch)
	for _, l := range w.links {
		there[l.index] = true
		names += fmt.Sprintf(" %d %s", l.index, l.name)
	}
	strays := slices.ContainsFunc(w.records, func(r *record) bool { return r.live() && r.parentIndex != 0 && !there[r.parentIndex] })
	if !strays || names == a.seen {
		return false
	}
	a.seen = names
	moved, err := a.rehomed(ctx)
	note(err)
	return moved > 0
}
