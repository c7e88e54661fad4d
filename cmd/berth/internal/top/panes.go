package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"berth/specs"
)

// parentPane returns a head, up to lines parents, those with a problem first, and the total if
// there are several.
func (m *Model) parentPane(lines int) []string {
	all := slices.Clone(m.shown.status.Parents)
	slices.SortStableFunc(all, func(a, b specs.ParentStatus) int { return severityOf(&b) - severityOf(&a) })
	title := "PARENT"
	if hidden := len(all) - lines; hidden > 0 {
		title += fmt.Sprintf(" (%d more)", hidden)
	}
	sums := m.shown.byParent()
	text := []string{m.parentLine(title, "STATE", "IFS", "RX/s", "TX/s", "LOCAL/s", "NETWORKS", titled)}
	for i := range all[:lines] {
		p := &all[i]
		sum := sums[p.Name]
		rx, tx, local := m.rateText(sum.rx.Bytes), m.rateText(sum.tx.Bytes), m.rateText(sum.local.Bytes)
		if p.State != specs.ParentCounting {
			rx, tx, local = "-", "-", "-"
		}
		st := plain
		switch {
		case severityOf(p) > 0:
			st = warned
		case m.shown.lost != nil:
			st = dim
		}
		text = append(text, m.parentLine(p.Name, string(p.State), strconv.Itoa(p.Endpoints), rx, tx, local,
			strings.Join(p.Networks, " "), st))
	}
	if len(all) > 1 {
		text = append(text, m.totalLine(all, sums))
	}
	return text
}

// totalLine returns the sum of all parents, also of those that are not shown.
func (m *Model) totalLine(all []specs.ParentStatus, each map[string]sums) string {
	var total sums
	endpoints := 0
	for i := range all {
		of := each[all[i].Name]
		endpoints += all[i].Endpoints
		total.rx, total.tx, total.local = total.rx.Plus(of.rx), total.tx.Plus(of.tx), total.local.Plus(of.local)
	}
	return m.parentLine("total", "", strconv.Itoa(endpoints), m.rateText(total.rx.Bytes), m.rateText(total.tx.Bytes),
		m.rateText(total.local.Bytes), "", bold)
}

func severityOf(p *specs.ParentStatus) int {
	if p.State == specs.ParentFailed || p.Problem != "" {
		return 1
	}
	return 0
}

// parentLine returns a line of the parents' table. On a narrow terminal it has only the columns that
// fit, so that no number is cut.
func (m *Model) parentLine(name, state, ifs, rx, tx, local, networks string, st style) string {
	l := &m.look
	line := " " + l.fitText(name, 16)
	add := func(from int, cell string) { // from is the width of a terminal that has room for it
		if m.width >= from {
			line += " " + cell
		}
	}
	add(45, l.fitText(state, 9))
	add(60, l.alignRight(ifs, 5))
	add(35, l.alignRight(rx, 8))
	add(35, l.alignRight(tx, 8))
	add(54, l.alignRight(local, 8))
	add(65, l.fitText(networks, m.width-61))
	return l.paintText(l.cutText(line, m.width), st)
}

// violationPane returns the last events, the newest at the bottom, under a head if there is
// more than one line.
func (m *Model) violationPane(lines int) []string {
	events := mergeEvents(m.shown.events)
	if m.height < lowest {
		if lines == 0 || len(events) == 0 {
			return nil
		}
		return []string{m.eventLine(&events[len(events)-1])}
	}
	title := " VIOLATIONS"
	if len(events) == 0 {
		title += ": none seen"
	}
	text := []string{m.look.paintText(m.look.fitText(title, m.width), titled)}
	for i := range events[max(0, len(events)-lines):] {
		text = append(text, m.eventLine(&events[max(0, len(events)-lines)+i]))
	}
	return text
}

// mergeEvents returns the events without those that differ from a later one by their time alone;
// the later one counts them.
func mergeEvents(events []specs.Event) (all []specs.Event) {
	at := make(map[string]int)
	for _, e := range slices.Backward(events) {
		key := fmt.Sprint(e.Kind, e.MAC, e.Parent, e.Detail, e.Certainty, e.Dropped, addressesOf(&e),
			partyName(e.Sender), "\x00", partyName(e.Owner), "\x00", partyName(e.Receiver))
		if i, ok := at[key]; ok {
			all[i].LeftOut += 1 + e.LeftOut
			continue
		}
		at[key] = len(all)
		all = append(all, e)
	}
	slices.Reverse(all)
	return all
}

// addressesOf returns the addresses of an event's frame, or "".
func addressesOf(e *specs.Event) string {
	switch {
	case !e.Frame.SourceIP.IsValid():
		return ""
	case !e.Frame.DestinationIP.IsValid():
		return e.Frame.SourceIP.String()
	}
	return e.Frame.SourceIP.String() + " > " + e.Frame.DestinationIP.String()
}

// eventLine returns a line on one violation; (+2) means two more like it, seen or left out
// by the rate limit.
func (m *Model) eventLine(e *specs.Event) string {
	what := fmt.Sprintf(" %s %s by %s", e.Time.In(m.shown.at.Location()).Format("15:04:05"), e.Kind, partyName(e.Sender))
	if e.LeftOut > 0 {
		what += fmt.Sprintf(" (+%d)", e.LeftOut)
	}
	if e.Detail != "" {
		what += fmt.Sprintf(": %s, on %s", e.Detail, e.Parent)
	} else {
		what += fmt.Sprintf(": %s on %s", strings.TrimSpace(e.MAC.String()+" "+addressesOf(e)), e.Parent)
	}
	if e.Receiver != nil {
		what += ", to " + partyName(e.Receiver)
	}
	if e.Owner != nil {
		what += ", of " + partyName(e.Owner)
	}
	if e.Dropped {
		what += ", dropped"
	}
	st := bad
	if e.Certainty == specs.Suspected {
		what += " (suspected)"
		st = warned
	}
	return m.look.paintText(m.look.fitText(what, m.width), st)
}
