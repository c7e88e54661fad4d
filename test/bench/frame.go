package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"berth/test/lab"
)

// A cost is a line of the benchmark of package bpf.
type cost struct {
	name      string // without the number of endpoints
	endpoints int
	figures   map[string]float64 // by unit
}

func (c cost) above() float64 { return c.figures["ns/frame-above-empty"] }

// frameGoals are the maximum ratios of a frame's cost to that of bare look-ups, by the
// number of endpoints among its source and destination. Some frames have a goal of their
// own.
var frameGoals = map[string]float64{"1": 1.3, "2": 0.7, "2-sibling-cold": 0.8}

// frameNames are the descriptions of the benchmark's frames.
var frameNames = map[string]string{
	"0-egress-host": "the host's own, leaving", "0-ingress-host": "to the host",
	"0-ingress-stranger": "to a stranger", "1-egress": "a container's, leaving",
	"1-egress-small": "a container's, leaving, padded", "1-ingress": "to a container",
	"1-egress-ipv6": "a container's, leaving, IPv6", "1-ingress-ipv6": "to a container, IPv6",
	"2-sibling": "from container to container", "2-sibling-small": "from container to container, UDP of 60 bytes",
	"2-sibling-cold":   "from container to container, two of 8,192 at random",
	"group-egress":     "a container's, to a group",
	"receiver-unicast": "the receiver program, to one machine", "receiver-group": "the receiver program, to a group",
	"guard": "the guard program, a marked frame",
	"shim":  "the shim program, which marks each frame", "ipvlan-ingress": "to an ipvlan container",
	"bad-mac-spoof": "a flood of forged MACs, leaving", "bad-ip-spoof": "a flood of forged addresses, leaving",
	"bad-duplicate-ip": "a flood of claimed addresses, coming in",
}

// returnsMitigation is the file that names the kernel's mitigation for the processor's
// speculation over returns.
const returnsMitigation = "/sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow"

// frameTurns is the number of turns that two builds take.
const frameTurns = 3

// Patterns of the benchmark's lines: all, and those that are compared with another build.
const (
	allFrames     = "Datapath"
	comparedLines = "Datapath/.*/10000"
)

// benchFrame runs the benchmark of package bpf, which uses BPF_PROG_TEST_RUN, and
// arranges its figures in a table. Another build takes turns with this one.
func benchFrame(b *bench) (*section, error) {
	this, err := ours().testBinary("./bpf")
	if err != nil {
		return nil, err
	}
	if b.against == nil {
		costs, err := frameCosts(this, allFrames)
		if err != nil {
			return nil, err
		}
		return frameSection(costs)
	}
	other, err := b.against.testBinary("./bpf")
	if err != nil {
		return nil, err
	}
	var turns [2][][]cost
	for turn := range frameTurns {
		for i, binary := range []string{this, other} {
			costs, err := frameCosts(binary, comparedLines)
			if err != nil {
				return nil, err
			}
			turns[i] = append(turns[i], costs)
			b.step(2*turn+i+1, 2*frameTurns)
		}
	}
	return againstSection(turns[0], turns[1]), nil
}

// frameCosts runs lines of the benchmark of a build's test program.
func frameCosts(binary, pattern string) ([]cost, error) {
	out, err := lab.Output(exec.Command(binary, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", "1x"))
	if err != nil {
		return nil, err
	}
	return parseCosts(out)
}

// parseCosts reads lines as
// "BenchmarkDatapath/1-egress/1000-2  1  65.0 ns/frame  38.0 ns/frame-above-empty".
func parseCosts(text string) (all []cost, err error) {
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "BenchmarkDatapath/") {
			continue
		}
		name := strings.Split(fields[0], "/")
		if len(name) != 3 {
			return nil, fmt.Errorf("benchmark line %q: want a name of three parts", lines.Text())
		}
		number, _, _ := strings.Cut(name[2], "-") // "-2" is GOMAXPROCS
		c := cost{name: name[1], figures: make(map[string]float64)}
		if c.endpoints, err = strconv.Atoi(number); err != nil {
			return nil, fmt.Errorf("benchmark line %q: %w", lines.Text(), err)
		}
		for i := 3; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i-1], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark line %q: %w", lines.Text(), err)
			}
			c.figures[fields[i]] = value
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the benchmark printed no figures: %s", text)
	}
	return all, nil
}

func frameSection(costs []cost) (*section, error) {
	s := &section{
		how: "The cost of the TC program, judging included, by BPF_PROG_TEST_RUN. It is compared with an empty program, " +
			"and with *bare look-ups*: a program " +
			"that only looks up the endpoints of the frame (one or two) in a hash map of the same size. A cost is the " +
			"fastest tenth of 60 laps of 4,000 frames; " +
			"a ratio is the median of 11 of these. *Two at random* means that each frame has other MACs, so that they are in " +
			"no near cache.",
		head: []string{"frame", "endpoints", "above empty", "whole", "to bare look-ups", "middle half"},
	}
	bare := false
	for _, c := range costs {
		what := frameNames[c.name]
		if looks, ok := strings.CutPrefix(c.name, "bare-look-ups-"); ok {
			what, bare = "bare look-ups: "+looks, true
		}
		if what == "" {
			continue
		}
		cells := []string{what, fmt.Sprint(c.endpoints), nanoseconds(c.above()), nanoseconds(c.figures["ns/frame"])}
		goal := frameGoal(c.name)
		if goal == 0 {
			s.addRow(cells...)
			continue
		}
		ratio := c.figures["to-bare"]
		cells = append(cells, fold(ratio), fmt.Sprintf("%.2f to %.2f", c.figures["to-bare-low"], c.figures["to-bare-high"]))
		s.judge(fmt.Sprintf("≤ %.1f×", goal), ratio > 0 && ratio <= goal, cells...)
	}
	if text, err := os.ReadFile(returnsMitigation); err == nil {
		s.fact("A look-up is a call, so its cost depends on the mitigation of the processor's returns: "+
			"spec_rstack_overflow is %q.", strings.TrimSpace(string(text)))
	}
	if !bare {
		return nil, fmt.Errorf("no bare look-ups among %d figures", len(costs))
	}
	return s, nil
}

// frameGoal returns the maximum ratio of a frame's cost, or 0 if it has no goal.
func frameGoal(name string) float64 {
	if goal, ok := frameGoals[name]; ok {
		return goal
	}
	endpoints, _, _ := strings.Cut(name, "-")
	return frameGoals[endpoints]
}

// againstSection compares the turns of two builds.
func againstSection(this, other [][]cost) *section {
	s := &section{
		how: fmt.Sprintf("The benchmark of this build and of the one given with -against, in %d turns: medians of what a "+
			"frame costs above an empty program, "+
			"and of the ratios of this build to the other, with the middle half of them. The other build may measure in "+
			"whole ns.", frameTurns),
		head: []string{"frame", "endpoints", "the other build", "this build", "ratio", "middle half"},
	}
	for _, c := range this[0] {
		var p pairs
		for turn := range this {
			mine, yours := costOf(this[turn], c), costOf(other[turn], c)
			if mine > 0 && yours > 0 {
				p.add(true, mine)
				p.add(false, yours)
			}
		}
		what := frameNames[c.name]
		if looks, ok := strings.CutPrefix(c.name, "bare-look-ups-"); ok {
			what = "bare look-ups: " + looks
		}
		if len(p.with) > 0 && what != "" {
			s.addRow(what, fmt.Sprint(c.endpoints), nanoseconds(median(p.without)), nanoseconds(median(p.with)),
				fold(median(p.ratios())), p.spread())
		}
	}
	return s
}

// costOf returns the cost of the same frame in another turn, or 0 if it was not measured.
func costOf(costs []cost, of cost) float64 {
	for _, c := range costs {
		if c.name == of.name && c.endpoints == of.endpoints {
			return c.above()
		}
	}
	return 0
}

func nanoseconds(f float64) string { return fmt.Sprintf("%.1f ns", f) }
