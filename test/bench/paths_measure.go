package main

import (
	"errors"
	"fmt"
)

// newPathsSection returns the section without its rows.
func newPathsSection() *section {
	return &section{
		how: fmt.Sprintf("*TCP* is one iperf3 stream of %d MB. *Round trip* is the median of %d small UDP datagrams and "+
			"their answers, between blocking sockets. "+
			"*Packets* are UDP frames of 60 bytes, as fast as one thread can send them: the fastest %d of %v. The wire is a "+
			"veth pair to a switch "+
			"(a Linux bridge), and another to the other machine. The path over a Linux bridge has no program of the agent's "+
			"and is the control: if its ratio is farther from 1 than a goal, other work disturbed the run, and the "+
			"rows of the same kind decide nothing, whatever their last column shows. "+
			"Each path is measured with and without the agent's programs, one right after the other, in alternating order. "+
			"The values are "+
			"medians. The ratio is the median of the ratios; for TCP the ratio of the fastest tenths.",
			tcpBytes>>20, roundTrips, burst, floodSlice),
		head: []string{"", "without agent", "with agent", "ratio", "middle half"},
	}
}

// measurePaths measures all paths in turn, each with and without the agent.
func (s *site) measurePaths(b *bench) (*section, error) {
	r := newPathsSection()
	tcp, quick, floods := max(2, 3*b.rounds/4), max(3, b.rounds/2), max(4, b.rounds)
	done, total := 0, tcp+quick+len(s.floods())*floods
	step := func(int) { done++; b.step(done, total) }
	if s.noIPvlan != "" {
		r.fact("ipvlan l2 is left out: %s. It was measured [under emulation](performance-ipvlan.md).", s.noIPvlan)
	}
	end, err := s.serveAll()
	defer end()
	if err != nil {
		return nil, err
	}
	if err := s.race(r, "TCP", tcp, step, gigabits, func(w way) (float64,
		error) {
		return throughput(w.from, w.to, "--bytes", fmt.Sprint(tcpBytes))
	}); err != nil {
		return nil, err
	}
	err = s.race(r, "round trip", quick, step, micros, func(w way) (float64, error) {
		took, err := roundTrip(w.from, w.to, roundTrips)
		return float64(took), err
	})
	if err != nil {
		return nil, err
	}
	for _, w := range s.floods() {
		if err := s.flood(r, w, floods, step); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// A way is a path from one place to another.
type way struct {
	what     string
	from, to place
	agent    bool // the path passes the agent's programs
	siblings bool // both ends are on one parent
}

// bridged is the index of the control in the list of ways.
const bridged = 2

func (s *site) ways() []way {
	all := []way{
		{"macvlan bridge siblings", s.a, s.b, true, true},
		{"macvlan to the wire", s.a, s.wire, true, false},
		bridged: {"Linux bridge and veth", s.c, s.d, false, false},
	}
	if s.noIPvlan == "" {
		all = append(all, way{"ipvlan l2 siblings", s.e, s.f, true, true})
	}
	return all
}

func (s *site) floods() []way {
	return []way{
		{"container to the wire", s.a, s.wire, true, false},
		{"the wire to a container", s.wire, s.a, true, false},
		{"macvlan bridge siblings", s.a, s.b, true, true},
	}
}

// serveAll starts iperf3 at all ends.
func (s *site) serveAll() (end func(), err error) {
	var ends []func()
	end = func() {
		for _, one := range ends {
			one()
		}
	}
	for _, w := range s.ways() {
		one, err := serveTCP(w.to)
		if err != nil {
			return end, err
		}
		ends = append(ends, one)
	}
	return end, nil
}

// race measures all ways in turn, and adds a row for each that compares it with the
// first.
func (s *site) race(r *section, kind string, n int, step func(int), text func(float64) string,
	one func(way) (float64, error)) error {
	ways := s.ways()
	got := make([]pairs, len(ways))
	for i := range n {
		for j, w := range ways {
			for _, with := range []bool{i%2 == 0, i%2 != 0} {
				if err := s.counting(with); err != nil {
					return err
				}
				value, err := one(w)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", kind, w.what, err)
				}
				got[j].add(with, value)
			}
		}
		step(i)
	}
	for j, w := range ways {
		goal, ratio := 0.0, median(got[j].ratios())
		if kind == "TCP" {
			ratio = got[j].fastestRatio()
		}
		if w.agent && kind == "TCP" {
			goal = 1 - agentMost
		}
		addPairs(r, kind+", "+w.what, got[j], ratio, goal, text)
	}
	for j, w := range ways {
		if w.siblings {
			r.fact("%s, %s to Linux bridge and veth: %.2f (without the agent).", kind, w.what,
				median(got[j].without)/median(got[bridged].without))
		}
	}
	return nil
}

// addPairs adds a row. goal is the minimum of the ratio, or 0 if there is no goal.
func addPairs(r *section, what string, p pairs, ratio, goal float64, text func(float64) string) {
	cells := []string{what, text(median(p.without)), text(median(p.with)), fmt.Sprintf("%.3f", ratio), p.spread()}
	if goal == 0 {
		r.addRow(cells...)
		return
	}
	r.judge(fmt.Sprintf("≥ %v", goal), ratio >= goal, cells...)
}

func gigabits(bits float64) string     { return fmt.Sprintf("%.1f Gbit/s", bits/1e9) }
func micros(ns float64) string         { return fmt.Sprintf("%.1f µs", ns/1000) }
func perSecond(packets float64) string { return fmt.Sprintf("%.0f/s", packets) }

// flood compares the agent's programs with none and with empty ones, and checks that the
// agent counted the frames that were sent while it was attached.
func (s *site) flood(r *section, w way, n int, step func(int)) error {
	f, err := newFlood(w.from, w.to)
	if err != nil {
		return err
	}
	defer f.close()
	before, err := s.counted()
	if err != nil {
		return err
	}
	var rates floodRates
	for i := range n {
		for j := range 3 {
			what := (i + j) % 3
			end, err := s.programs(what)
			if err != nil {
				return err
			}
			rate, arrived, err := f.rate(floodSlice)
			if err := errors.Join(err, end()); err != nil {
				return fmt.Errorf("%s: %w", w.what, err)
			}
			rates.addRate(what, rate, arrived)
		}
		step(i)
	}
	after, err := s.counted()
	if err == nil && after-before < rates.through {
		err = fmt.Errorf("%s: %d packets with the agent, and it counted %d", w.what, rates.through, after-before)
	}
	rates.addTo(r, w, after-before)
	return err
}

// floodRates compares the rates of floods with the agent's programs, with empty ones and with none.
type floodRates struct {
	agent, empty, above pairs  // the agent's to none, empty ones to none, the agent's to empty ones
	through             uint64 // packets that arrived with the agent's programs
}

func (f *floodRates) addRate(programs int, rate float64, arrived uint64) {
	switch programs {
	case noPrograms:
		f.agent.add(false, rate)
		f.empty.add(false, rate)
	case agentPrograms:
		f.through += arrived
		f.agent.add(true, rate)
		f.above.add(true, rate)
	case emptyPrograms:
		f.empty.add(true, rate)
		f.above.add(false, rate)
	}
}

// addTo adds the rows of a way. counted is the number of packets that the agent counted.
func (f *floodRates) addTo(r *section, w way, counted uint64) {
	goal := wireLeast
	if w.siblings {
		goal = siblingLeast
	}
	addPairs(r, "packets, "+w.what, f.agent, median(f.agent.ratios()), 0, perSecond)
	addPairs(r, "packets, "+w.what+": empty TC programs, compared with none", f.empty, median(f.empty.ratios()), 0,
		perSecond)
	addPairs(r, "packets, "+w.what+": the agent's programs, compared with empty ones", f.above,
		median(f.above.ratios()), goal, perSecond)
	each := func(rates []float64) float64 { return 1e9 / median(rates) } // ns
	r.fact("Packets, %s: a packet takes %.0f ns. The agent adds %.0f ns to that, empty TC programs %.0f ns. %d packets "+
		"were sent with the agent, and it counted %d, including ARP.",
		w.what, each(f.agent.without), each(f.agent.with)-each(f.agent.without),
		each(f.empty.with)-each(f.empty.without), f.through, counted)
}
