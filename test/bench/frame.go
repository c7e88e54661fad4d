package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"berth/test/lab"
)

// A cost is a line of the benchmark of package bpf.
type cost struct {
	name      string // without the number of endpoints
	endpoints int
	whole     float64 // ns a frame
	above     float64 // ns a frame above the empty program's
}

// frameGoals are the ns above the empty program that a frame may cost, by the number of
// endpoints among its source and destination.
var frameGoals = map[string]float64{"1": 50, "2": 75}

// frameNames are the descriptions of the benchmark's frames.
var frameNames = map[string]string{
	"0-egress-host": "the host's own, leaving", "0-ingress-host": "to the host",
	"0-ingress-stranger": "to a stranger", "1-egress": "a container's, leaving",
	"1-egress-small": "a container's, leaving, padded", "1-ingress": "to a container",
	"1-egress-ipv6": "a container's, leaving, IPv6", "1-ingress-ipv6": "to a container, IPv6",
	"2-sibling": "from container to container", "group-egress": "a container's, to a group",
	"bad-mac-spoof": "a flood of forged MACs, leaving", "bad-ip-spoof": "a flood of forged addresses, leaving",
	"bad-duplicate-ip": "a flood of claimed addresses, coming in",
}

// benchFrame runs the benchmark of package bpf, which uses BPF_PROG_TEST_RUN, and
// arranges its figures in a table.
func benchFrame(b *bench) (*section, error) {
	cmd := exec.Command("go", "test", "./bpf", "-run", "^$", "-bench", "Datapath", "-benchtime", "1x")
	out, err := lab.Output(cmd)
	if err != nil {
		return nil, err
	}
	costs, err := parseCosts(out)
	if err != nil {
		return nil, err
	}
	return frameSection(costs)
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
		c := cost{name: name[1]}
		if c.endpoints, err = strconv.Atoi(number); err != nil {
			return nil, fmt.Errorf("benchmark line %q: %w", lines.Text(), err)
		}
		for i := 2; i < len(fields); i++ {
			value, err := strconv.ParseFloat(fields[i-1], 64)
			switch {
			case fields[i] == "ns/frame" && err == nil:
				c.whole = value
			case fields[i] == "ns/frame-above-empty" && err == nil:
				c.above = value
			}
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
		how: "The TC program by BPF_PROG_TEST_RUN, judging included, and by turns with it an empty program: the least of 15 runs of 200,000 frames each. " +
			"Beside it a program that does nothing but look up one key, or two, in the same map.",
		head: []string{"frame", "endpoints", "above empty", "whole", "to bare look-ups"},
	}
	bare := make(map[string]float64)
	for _, c := range costs {
		if looks, ok := strings.CutPrefix(c.name, "bare-look-ups-"); ok {
			bare[fmt.Sprint(looks, "/", c.endpoints)] = c.above
			s.addRow("bare look-ups: "+looks, fmt.Sprint(c.endpoints), ns(c.above), ns(c.whole))
		}
	}
	for _, c := range costs {
		what := frameNames[c.name]
		if what == "" {
			continue
		}
		in, _, _ := strings.Cut(c.name, "-")
		cells := []string{what, fmt.Sprint(c.endpoints), ns(c.above), ns(c.whole)}
		if base := bare[fmt.Sprint(max(in, "1"), "/", c.endpoints)]; base > 0 {
			cells = append(cells, fold(c.above/base))
		}
		goal, ok := frameGoals[in]
		if !ok {
			s.addRow(cells...)
			continue
		}
		s.judge(fmt.Sprintf("≤ %.0f ns", goal), c.above <= goal, cells...)
	}
	if len(bare) == 0 {
		return nil, fmt.Errorf("no bare look-ups among %d figures", len(costs))
	}
	return s, nil
}

func ns(f float64) string { return fmt.Sprintf("%.0f ns", f) }
