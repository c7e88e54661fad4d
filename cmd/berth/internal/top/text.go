package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/internal/rates"
	"berth/specs"
)

// textHeight returns the number of visible lines of a page of text.
func (m *Model) textHeight() int {
	height := m.height - 2 // header, footer
	if m.alertLine() != "" {
		height--
	}
	return max(0, height)
}

// textShown returns the visible lines of the page.
func (m *Model) textShown() []string {
	lines := m.pageText()
	lines = lines[max(0, min(m.scroll, len(lines)-m.textHeight())):]
	return lines[:min(len(lines), m.textHeight())]
}

// pageText returns all lines of the page.
func (m *Model) pageText() []string {
	if m.page == pageHelp {
		return m.helpText()
	}
	return m.detailText()
}

func (m *Model) helpText() []string {
	var lines []string
	for _, h := range [][2]string{
		{"arrows pgup", "choose an interface"},
		{"enter", "all about it"},
		{"< > s", "sort by another column"},
		{"r", "reverse the order"},
		{"b", "rates in bits, or in bytes"},
		{"/", "filter: words, all of them, in names, addresses, networks, modes"},
		{"esc", "end the filter; go back"},
		{"p space", "hold the picture; go on"},
		{"q ctrl+c", "quit"},
		{"", ""},
		{"RX, TX", "as the container sees it; bytes of whole frames, 1 kB is 1000"},
		{"LOCAL/s", "between a parent's interfaces; its RX and TX are the LAN's"},
		{"P/s", "packets a second, as on the wire"},
		{"HISTORY", "RX and TX, own scale each"},
		{"VIOL", "frames that broke a rule, see berth events"},
		{"-", "not known, or not counted"},
	} {
		lines = append(lines, m.pairLine(h[0], h[1], 14))
	}
	return lines
}

// pairLine returns a line with a key, which takes width, and its value.
func (m *Model) pairLine(key, value string, width int) string {
	width = min(width, m.width/2)
	return m.look.paintText(m.look.fitText(" "+key, width), titled) + m.look.cutText(value, m.width-width)
}

// detailText returns all facts about the selected endpoint.
func (m *Model) detailText() []string {
	at := slices.IndexFunc(m.shown.readings, func(r rates.Reading) bool { return rates.KeyOf(&r.Endpoint) == m.selected })
	if at < 0 {
		return []string{m.look.paintText(m.look.cutText(" it is gone; berth inspect shows its kept record", m.width), dim)}
	}
	r := &m.shown.readings[at]
	lines := m.factLines(r)
	lines = append(lines, "")
	lines = append(lines, m.partLines(r)...)
	return append(lines, m.brokenBy(r)...)
}

// factLines returns names and addresses, without those that are not known.
func (m *Model) factLines(r *rates.Reading) (lines []string) {
	var addresses []string
	for _, a := range r.Addresses {
		addresses = append(addresses, a.String())
	}
	t := m.shown.trails[rates.KeyOf(&r.Endpoint)]
	history := func(value func(point) float32) string {
		return fmt.Sprintf("%s  at most %s/s", t.sparkline(min(trailLength, max(5, m.width-36)), m.look.levels, value),
			m.rateText(float64(t.peakOf(value))))
	}
	for _, f := range [][2]string{
		{"container", r.ContainerID},
		{"name", r.Name},
		{"image", r.Image},
		{"pod", r.Pod},
		{"namespace", r.Namespace},
		{"network", placeOf(r)},
		{"addresses", strings.Join(addresses, ", ")},
		{"MAC", r.MAC.String()},
		{"parent", r.Parent},
		{"mode", fmt.Sprintf("%s %s, MTU %d", r.Driver, r.Mode, r.MTU)},
		{"state", m.phaseText(r)},
		{"origin", originText(r)},
		{"received", history(point.received)},
		{"sent", history(point.transmitted)},
		{"to groups", groupText(r)},
	} {
		if f[1] != "" {
			lines = append(lines, m.pairLine(f[0], f[1], 12))
		}
	}
	return lines
}

// originText returns the origin of an interface that berth did not create, or "".
func originText(r *rates.Reading) string {
	if r.Origin != specs.OriginObserved {
		return ""
	}
	return string(r.Origin) + ": berth did not create the interface"
}

// groupText returns the number of multicast and broadcast frames that an endpoint received,
// which no rate includes; "" if not known.
func groupText(r *rates.Reading) string {
	if r.GroupPackets == nil {
		return ""
	}
	return numberText(float64(*r.GroupPackets)) + " frames to groups and to all were received beside these"
}

func (m *Model) phaseText(r *rates.Reading) string {
	since, now := r.Created, m.shown.at
	if r.Phase == specs.PhaseEnded {
		since = r.Ended
	}
	return fmt.Sprintf("%s, since %s (%s)", r.Phase, since.In(now.Location()).Format(time.DateTime),
		spanText(now.Sub(since)))
}

// partLines returns the endpoint's traffic by its other end and by the frames' destination,
// without parts that never had any.
func (m *Model) partLines(r *rates.Reading) []string {
	lines := []string{m.partLine("TRAFFIC", "RX/s", "TX/s", "RX", "TX", titled)}
	add := func(name string, rx, tx specs.Count, rxRate, txRate specs.Rate) {
		if rx.Plus(tx) == (specs.Count{}) {
			return
		}
		rxText, txText := "-", "-"
		if r.Over > 0 {
			rxText, txText = m.rateText(rxRate.Bytes), m.rateText(txRate.Bytes)
		}
		lines = append(lines, m.partLine(name, rxText, txText, bytesText(float64(rx.Bytes)),
			bytesText(float64(tx.Bytes)), plain))
	}
	casts := func(name string, rx, tx specs.Casts, rxRate, txRate specs.CastRates) {
		add(name+" unicast", rx.Unicast, tx.Unicast, rxRate.Unicast, txRate.Unicast)
		add(name+" multicast", rx.Multicast, tx.Multicast, rxRate.Multicast, txRate.Multicast)
		add(name+" broadcast", rx.Broadcast, tx.Broadcast, rxRate.Broadcast, txRate.Broadcast)
	}
	rx, tx := &r.Counters.Receive, &r.Counters.Transmit
	casts("local", rx.Local, tx.Local, r.Rates.Receive.Local, r.Rates.Transmit.Local)
	casts("external", rx.External, tx.External, r.Rates.Receive.External, r.Rates.Transmit.External)
	if len(lines) == 1 {
		return []string{m.look.paintText(m.look.cutText(" no traffic was counted", m.width), dim)}
	}
	return lines
}

// partLine returns a line of the table of traffic. A narrow terminal has no totals.
func (m *Model) partLine(name, rxRate, txRate, rx, tx string, st style) string {
	l := &m.look
	cells := []string{rxRate, txRate, rx, tx}
	if m.width < 45 {
		cells = cells[:2]
	}
	line := l.fitText(name, min(20, max(8, m.width-1-9*len(cells))))
	for _, cell := range cells {
		line += " " + l.alignRight(cell, 8)
	}
	return l.paintText(l.cutText(" "+line, m.width), st)
}

// brokenBy returns the endpoint's violations, and the events that name it.
func (m *Model) brokenBy(r *rates.Reading) (lines []string) {
	for _, kind := range specs.Kinds() {
		text := strconv.FormatUint(r.Violations[kind], 10) + " times"
		if n := r.Dropped[kind]; n > 0 {
			text += ", " + strconv.FormatUint(n, 10) + " of them dropped"
		}
		if r.Violations[kind] > 0 {
			lines = append(lines, m.pairLine(string(kind), text, 19))
		}
	}
	of := func(p *specs.Party) bool {
		return p != nil && p.ContainerID == r.ContainerID && p.Interface == r.Interface
	}
	about := slices.DeleteFunc(slices.Clone(m.shown.events), func(e specs.Event) bool {
		return !of(e.Sender) && !of(e.Owner) && !of(e.Receiver)
	})
	for _, e := range mergeEvents(about) {
		lines = append(lines, m.eventLine(&e))
	}
	if len(lines) > 0 {
		lines = append([]string{"", m.look.paintText(m.look.cutText(" VIOLATIONS", m.width), titled)}, lines...)
	}
	return lines
}
