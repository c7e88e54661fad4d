package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"berth/internal/rates"
	"berth/internal/text"
	"berth/specs"
)

// printStats prints one interval, on a terminal over the previous one.
func printStats(env *Env, o statsOptions, at time.Time, readings []rates.Reading) error {
	if o.json {
		enc := json.NewEncoder(env.Out)
		enc.SetEscapeHTML(false)
		for i := range readings {
			if err := enc.Encode(statsLine(at, &readings[i])); err != nil {
				return err
			}
		}
		return nil
	}
	width, rows := env.Width, 0
	if env.window != nil && o.count != 1 { // the terminal may have another size now
		columns, height := env.window()
		width, rows = cmp.Or(columns, width), height
	}
	t := statsTable(env, readings, o)
	var b strings.Builder
	if err := t.writeTable(&b, width); err != nil {
		return err
	}
	page := b.String()
	if o.count != 1 {
		page = at.Format(time.TimeOnly) + "\n" + page
	}
	switch {
	case o.count == 1:
	case env.window != nil:
		page = overprintText(page, rows)
	default:
		page += "\n"
	}
	_, err := io.WriteString(env.Out, page)
	return err
}

// overprintText makes a page begin in a terminal's upper left corner (ECMA-48 CUP) and erase
// the rest (EL, ED). A page with more lines than the terminal would scroll, and the next one
// would not begin at the corner, so further lines are left out. rows is 0 if the terminal's
// height is not known.
func overprintText(page string, rows int) string {
	lines := strings.SplitAfter(page, "\n")
	lines = lines[:len(lines)-1]                         // after the last line there is none
	if most := rows - 1; rows > 0 && len(lines) > most { // the cursor is on the last row
		left := len(lines) - max(0, most-1)
		lines = append(lines[:max(0, most-1)], fmt.Sprintf("… %d more lines\n", left))[:max(0, most)]
	}
	return "\x1b[H" + strings.ReplaceAll(strings.Join(lines, ""), "\n", "\x1b[K\n") + "\x1b[J"
}

func statsLine(at time.Time, r *rates.Reading) specs.Stats {
	s := specs.Stats{
		Time: at, Interval: r.Over.Seconds(),
		ContainerID: r.ContainerID, Name: r.Name, Pod: r.Pod, Namespace: r.Namespace,
		Network: r.Network, EngineNetwork: r.EngineNetwork, Interface: r.Interface, Parent: r.Parent,
		VLAN: r.VLAN, MAC: r.MAC,
		Origin: r.Origin, Phase: r.Phase, Counted: r.Counted, GroupPackets: r.GroupPackets, Violations: r.Violations,
		Dropped: r.Dropped,
		Totals:  specs.StatsTotals{Receive: r.Counters.Receive.Total(), Transmit: r.Counters.Transmit.Total()},
		Split:   specs.StatsSplit{Totals: r.Counters},
	}
	if r.Over > 0 {
		s.Rates = &specs.StatsRates{Receive: r.Rates.Receive.Total(), Transmit: r.Rates.Transmit.Total()}
		s.Split.Rates = &r.Rates
	}
	return s
}

// statsTable has a row for an endpoint, or one for each part of its traffic.
func statsTable(env *Env, readings []rates.Reading, o statsOptions) *table {
	numbers := []string{"RX/s", "TX/s", "RX P/s", "TX P/s", "RX", "TX"}
	t := &table{head: append([]string{"CONTAINER", "NETWORK@IF"}, numbers...), whole: numbers,
		spare: [][]string{{"RX P/s", "TX P/s"}, {"RX", "TX"}}}
	if o.split {
		t.head = append([]string{"CONTAINER, IF", "TRAFFIC"}, numbers...)
	}
	for i := range readings {
		r := &readings[i]
		name, place := displayName(&r.Endpoint), dashIfEmpty(r.NetworkText())+"@"+r.Interface
		all := trafficPart{"all", r.Counters.Receive.Total(), r.Counters.Transmit.Total(), r.Rates.Receive.Total(),
			r.Rates.Transmit.Total()}
		if o.split {
			t.addLines(append([][]string{{name, place}}, o.stackParts(r, append([]trafficPart{all}, splitTraffic(r)...))...)...)
		} else {
			all.name = place // in its column
			t.addLines(append([][]string{{name}}, o.stackParts(r, []trafficPart{all})...)...)
		}
		t.addNote(strings.Join(remarkTexts(env, &r.Endpoint), ", "))
	}
	if len(readings) > 1 {
		o.addTotals(t, readings)
	}
	return t
}

// stackParts returns the cells of several parts, one below the other, after their
// names.
func (o *statsOptions) stackParts(r *rates.Reading, parts []trafficPart) [][]string {
	columns := make([][]string, 7)
	for _, p := range parts {
		for j, cell := range append([]string{p.name}, p.partCells(r, o.bits)...) {
			columns[j] = append(columns[j], dashIfEmpty(cell))
		}
	}
	return columns
}

// addTotals adds the sums: of the traffic with the LAN, which passes the wire, and of the
// traffic between containers, which does not and is counted at both ends.
func (o *statsOptions) addTotals(t *table, readings []rates.Reading) {
	lan, local := trafficPart{name: "LAN"}, trafficPart{name: "local"}
	sum := rates.Reading{}
	for i := range readings {
		r := &readings[i]
		sum.Counted, sum.Over = sum.Counted || r.Counted, max(sum.Over, r.Over)
		lan.addCasts(r.Counters.Receive.External, r.Counters.Transmit.External, r.Rates.Receive.External,
			r.Rates.Transmit.External)
		local.addCasts(r.Counters.Receive.Local, r.Counters.Transmit.Local, r.Rates.Receive.Local, r.Rates.Transmit.Local)
	}
	t.addLines(append([][]string{{"total"}}, o.stackParts(&sum, []trafficPart{lan, local})...)...)
}

func (p *trafficPart) addCasts(rx, tx specs.Casts, rxRate, txRate specs.CastRates) {
	p.rx, p.tx = p.rx.Plus(rx.Total()), p.tx.Plus(tx.Total())
	p.rxRate, p.txRate = p.rxRate.Plus(rxRate.Total()), p.txRate.Plus(txRate.Total())
}

// trafficPart is a part of an endpoint's traffic.
type trafficPart struct {
	name           string
	rx, tx         specs.Count
	rxRate, txRate specs.Rate
}

// partCells returns a part's six numbers, or nothing if there are none.
func (p *trafficPart) partCells(r *rates.Reading, bits bool) []string {
	cells := make([]string, 6)
	if r.Over > 0 {
		rate := func(v float64) uint64 { return uint64(math.Round(v)) }
		cells[0], cells[1] = text.Rate(p.rxRate.Bytes, bits), text.Rate(p.txRate.Bytes, bits)
		cells[2], cells[3] = text.Number(rate(p.rxRate.Packets)), text.Number(rate(p.txRate.Packets))
	}
	if r.Counted {
		cells[4], cells[5] = text.Bytes(p.rx.Bytes), text.Bytes(p.tx.Bytes)
	}
	return cells
}

// splitTraffic splits an endpoint's traffic; it leaves out parts that never had any.
func splitTraffic(r *rates.Reading) (all []trafficPart) {
	add := func(name string, rx, tx specs.Count, rxRate, txRate specs.Rate) {
		if rx.Plus(tx) != (specs.Count{}) {
			all = append(all, trafficPart{name, rx, tx, rxRate, txRate})
		}
	}
	casts := func(name string, rx, tx specs.Casts, rxRate, txRate specs.CastRates) {
		add(name+" unicast", rx.Unicast, tx.Unicast, rxRate.Unicast, txRate.Unicast)
		add(name+" multicast", rx.Multicast, tx.Multicast, rxRate.Multicast, txRate.Multicast)
		add(name+" broadcast", rx.Broadcast, tx.Broadcast, rxRate.Broadcast, txRate.Broadcast)
	}
	rx, tx := &r.Counters.Receive, &r.Counters.Transmit
	casts("local", rx.Local, tx.Local, r.Rates.Receive.Local, r.Rates.Transmit.Local)
	casts("ext", rx.External, tx.External, r.Rates.Receive.External, r.Rates.Transmit.External)
	return all
}
