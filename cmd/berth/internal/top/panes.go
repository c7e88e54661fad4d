package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"berth/specs"
)

// parents is a head and at most lines parents; those with a problem come
// first.
func (m *Model) parents(lines int) []string {
	all := slices.Clone(m.shown.status.Parents)
	slices.SortStableFunc(all, func(a, b specs.ParentStatus) int { return trouble(&b) - trouble(&a) })
	title := "PARENT"
	if hidden := len(all) - lines; hidden > 0 {
		title += fmt.Sprintf(" (%d more)", hidden)
	}
	sums := m.shown.byParent()
	text := []string{m.parentLine(title, "STATE", "IFS", "RX/s", "TX/s", "NETWORKS", titled)}
	for i := range all[:lines] {
		p := &all[i]
		sum := sums[p.Name]
		rx, tx := bytesText(sum.rx.Bytes), bytesText(sum.tx.Bytes)
		if p.State != specs.ParentCounting {
			rx, tx = "-", "-"
		}
		st := plain
		switch {
		case trouble(p) > 0:
			st = warned
		case m.shown.lost != nil:
			st = dim
		}
		text = append(text, m.parentLine(p.Name, string(p.State), strconv.Itoa(p.Endpoints), rx, tx, strings.Join(p.Networks, " "), st))
	}
	return text
}

func trouble(p *specs.ParentStatus) int {
	if p.State == specs.ParentFailed || p.Problem != "" {
		return 1
	}
	return 0
}

func (m *Model) parentLine(name, state, ifs, rx, tx, networks string, st style) string {
	l := &m.look
	line := " " + strings.Join([]string{
		l.fit(name, 16), l.fit(state, 9), l.right(ifs, 5), l.right(rx, 8), l.right(tx, 8), l.fit(networks, m.width-52),
	}, " ")
	return l.paint(l.cut(line, m.width), st)
}

// violations is the last events, the newest at the bottom, under a head where
// there is more than one line.
func (m *Model) violations(lines int) []string {
	events := m.shown.events
	if lines == 0 || lines == 1 && len(events) == 0 {
		return nil
	}
	if lines == 1 {
		return []string{m.eventLine(&events[len(events)-1])}
	}
	title := " VIOLATIONS"
	if len(events) == 0 {
		title += ": none seen"
	}
	text := []string{m.look.paint(m.look.fit(title, m.width), titled)}
	for i := range events[max(0, len(events)-lines):] {
		text = append(text, m.eventLine(&events[max(0, len(events)-lines)+i]))
	}
	for len(text) < lines+1 {
		text = append(text, "")
	}
	return text
}

// eventLine is one violation; (+2) are those like it that the rate limit left
// out.
func (m *Model) eventLine(e *specs.Event) string {
	what := fmt.Sprintf(" %s %s by %s", e.Time.In(m.shown.at.Location()).Format("15:04:05"), e.Kind, partyName(e.Sender))
	if e.LeftOut > 0 {
		what += fmt.Sprintf(" (+%d)", e.LeftOut)
	}
	if e.Detail != "" {
		what += fmt.Sprintf(": %s, on %s", e.Detail, e.Parent)
	} else {
		what += fmt.Sprintf(": %s on %s", e.MAC, e.Parent)
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
	return m.look.paint(m.look.fit(what, m.width), st)
}
