package top

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"berth/agent/client"
	"berth/internal/rates"
	"berth/internal/text"
	"berth/specs"
)

// gutter is the width of the selected line's mark.
const gutter = 1

// View implements tea.Model.
func (m Model) View() tea.View {
	v := tea.NewView(m.Frame())
	v.AltScreen = true
	return v
}

// Frame returns the terminal's content: as many lines as it has, none wider than it is.
func (m Model) Frame() string {
	if m.width <= 0 || m.height <= 0 {
		return ""
	}
	lines := []string{m.headerLine()}
	if alert := m.alertLine(); alert != "" {
		lines = append(lines, alert)
	}
	if m.page == pageList {
		lines = append(lines, m.listLines()...)
	} else {
		lines = append(lines, m.textShown()...)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	if m.height == 1 {
		return lines[0]
	}
	return strings.Join(append(lines[:m.height-1], m.footerLine()), "\n")
}

// lowest is the height from which on parents and the violations' head are shown.
const lowest = 16

// layout holds the number of lines of each part of the list.
type layout struct {
	parents, rows, events int // without their heads, and without the parents' total
}

// layout distributes the lines. The rows begin at the same line while endpoints come and
// go, so that the picture does not jump. Violations take a share of the height, and the
// lines below the rows if those are empty.
func (m *Model) layout() (l layout) {
	left := m.height - 3 // header, the endpoints' head, footer
	if m.alertLine() != "" {
		left--
	}
	if m.height < lowest {
		l.events = min(1, max(0, left-3))
		l.rows = max(0, left-l.events)
		return l
	}
	l.parents = min(len(m.shown.status.Parents), max(1, m.height/6))
	left-- // the violations' head
	if l.parents > 0 {
		left -= l.parents + 2 // with a head and an empty line
	}
	if len(m.shown.status.Parents) > 1 {
		left-- // the total
	}
	free := left - max(1, len(m.rows))
	l.events = min(max(2, m.height/6, free), len(mergeEvents(m.shown.events)))
	l.rows = left - l.events
	return l
}

// listLines returns the parts of the list below one another.
func (m *Model) listLines() []string {
	l := m.layout()
	var lines []string
	if l.parents > 0 {
		lines = append(append(lines, m.parentPane(l.parents)...), "")
	}
	lines = append(lines, m.columnHead())
	for i := range l.rows {
		switch at := m.top + i; {
		case at < len(m.rows):
			lines = append(lines, m.readingRow(m.rows[at], at == m.cursor))
		case i == 0:
			lines = append(lines, m.look.paintText(m.look.cutText(" "+m.emptyText(), m.width), dim))
		default:
			lines = append(lines, "")
		}
	}
	return append(lines, m.violationPane(l.events)...)
}

// emptyText returns why there is no row.
func (m *Model) emptyText() string {
	switch {
	case m.shown.at.IsZero():
		return "asking the agent"
	case m.filter != "":
		return fmt.Sprintf("none of %d interfaces has %q", len(m.shown.readings), m.filter)
	}
	return "no container has an interface of berth's"
}

// spreadLine puts one text at the left of a line and one at its right.
func (m *Model) spreadLine(left, right string, st style) string {
	room := m.width - ansi.StringWidthWc(right) - 1
	if room < ansi.StringWidthWc(left)/2 {
		return m.look.paintText(m.look.fitText(left, m.width), st)
	}
	return m.look.paintText(m.look.fitText(left, room)+" "+m.look.cutText(right, m.width), st)
}

// headerLine returns the title line: the interfaces, the agent's version, and the time.
func (m *Model) headerLine() string {
	s := m.shown
	left := "berth top"
	if !s.at.IsZero() {
		live := len(s.readings)
		for i := range s.readings {
			if s.readings[i].Phase == specs.PhaseEnded {
				live--
			}
		}
		interfaces := "interfaces"
		if live == 1 {
			interfaces = "interface"
		}
		left += fmt.Sprintf("  %d %s  berthd %s, up %s", live, interfaces, s.status.Version,
			spanText(s.at.Sub(s.status.Started)))
	}
	right := ""
	if !s.at.IsZero() {
		right = s.at.Format(time.TimeOnly)
	}
	if m.isHeld {
		right = strings.TrimSpace("HELD " + right)
	}
	return m.spreadLine(left, right, bold)
}

// alertLine returns the one line on a problem, or "".
func (m *Model) alertLine() string {
	s := m.shown
	say := func(line string, st style) string { return m.look.paintText(m.look.fitText(line, m.width), st) }
	problems := s.problemTexts()
	switch {
	case s.lost != nil && errors.Is(s.lost, client.ErrNoAgent):
		return say(m.goneText(), bad)
	case s.lost != nil:
		return say(fmt.Sprintf("no answer for %s: %v", spanText(s.away), s.lost), bad)
	case s.at.IsZero():
		return ""
	case !s.status.Attached:
		return say("nothing is counted: detached on request; attach with `berth agent attach`", bad)
	case len(problems) == 1:
		return say(problems[0], warned)
	case len(problems) > 1:
		return say(fmt.Sprintf("%d problems, see berth agent status: %s", len(problems), problems[0]), warned)
	}
	return ""
}

// goneText returns that no agent runs, for how long, and the remedy, as long as the terminal has room.
func (m *Model) goneText() string {
	gone := "agent gone " + spanText(m.shown.away)
	for _, remedy := range []string{": " + client.ErrNoAgent.Error(), "; start it with `systemctl start berthd`"} {
		if len(gone+remedy) <= m.width {
			return gone + remedy
		}
	}
	return gone + "; start berthd"
}

// problemTexts returns the agent's own problems, and those of its parents that are not among
// them.
func (s *state) problemTexts() []string {
	all := slices.Clone(s.status.Problems)
	for _, p := range s.status.Parents {
		if p.Problem != "" && !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, p.Problem) }) {
			all = append(all, p.Name+": "+p.Problem)
		}
	}
	return all
}

// footerLine shows the keys, or the filter while it is typed.
func (m *Model) footerLine() string {
	switch {
	case m.typing:
		room := m.width - 3
		typed := ansi.TruncateLeftWc(m.filter, max(0, ansi.StringWidthWc(m.filter)-max(0, room)), "")
		return m.look.cutText("/ "+typed, m.width-1) + m.look.paintText(" ", marked)
	case m.page != pageList:
		return m.look.paintText(m.look.fitText("esc back  q quit", m.width), dim)
	case m.filter != "":
		return m.look.paintText(m.look.fitText(fmt.Sprintf("/ %s  (esc ends it)  ? help", m.filter), m.width), titled)
	case m.width < 76:
		return m.look.paintText(m.look.fitText("? help  q quit  / filter  enter details", m.width), dim)
	}
	return m.look.paintText(m.look.fitText("q quit  ? help  / filter  < > sort  r reverse  p hold  enter details",
		m.width), dim)
}

// columnHead returns the titles of the endpoints' table.
func (m *Model) columnHead() string {
	shown, widths := visibleColumns(m.width - gutter)
	cells := make([]string, len(shown))
	for i, c := range shown {
		title, width := columns[c].title, widths[i]
		if c == m.column {
			title += m.sortArrow()
		}
		cells[i] = m.look.fitText(title, width)
		if columns[c].right {
			cells[i] = m.look.alignRight(title, width)
		}
	}
	return m.look.paintText(m.look.cutText(strings.Repeat(" ", gutter)+strings.Join(cells, " "), m.width), titled)
}

func (m *Model) sortArrow() string {
	if columns[m.column].most != m.turned {
		return m.look.down
	}
	return m.look.up
}

// readingRow returns the row of one endpoint.
func (m *Model) readingRow(r *rates.Reading, selected bool) string {
	shown, widths := visibleColumns(m.width - gutter)
	cells := make([]string, len(shown))
	for i, c := range shown {
		switch of := &columns[c]; {
		case of.draw != nil:
			cells[i] = m.look.fitText(of.draw(m, r, widths[i]), widths[i])
		case of.right:
			cells[i] = m.look.alignRight(of.cell(m, r), widths[i])
		default:
			cells[i] = m.look.fitText(of.cell(m, r), widths[i])
		}
	}
	mark, st := " ", plain
	switch {
	case selected:
		mark, st = m.look.pointer, marked
	case r.Phase != specs.PhaseAttached || m.shown.lost != nil:
		st = dim
	case violationCount(r) > 0:
		st = bad
	}
	return m.look.paintText(m.look.cutText(mark+strings.Join(cells, " "), m.width), st)
}

// spanText returns a duration in its largest unit, such as "3m".
func spanText(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// partyName returns the name of a party of an event for a person, or "?" if it is not
// known.
func partyName(p *specs.Party) string {
	if p == nil {
		return "?"
	}
	return cmp.Or(p.Name, text.ShortID(p.ContainerID), "?")
}
