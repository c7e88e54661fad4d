package main

import (
	"fmt"
	"strings"
)

// benchProbe measures starts in a row on a network with the default probe, beside starts
// on one without, by turns. Only the first has to wait: its prober sees the addresses of the
// next ones free.
func benchProbe(b *bench) (*section, error) {
	host, _, err := b.newHost("probe")
	if err != nil {
		return nil, err
	}
	for name, subnet := range map[string]string{"lan": "198.51.100.0/24", "probed": "203.0.113.0/24"} {
		text := strings.Replace(berthNetwork(berthSubnet, probeMost), berthSubnet.String(), subnet, 1)
		if name == "lan" {
			text = strings.Replace(text, fmt.Sprintf("%q", probeMost), `"0s"`, 1)
		}
		text = strings.Replace(text, "gateway", "# gateway", 1)
		if err := host.Network(name, text); err != nil {
			return nil, err
		}
	}
	if err := host.Enter(); err != nil {
		return nil, err
	}
	if b.against != nil {
		return benchTurns(b, host)
	}
	peers := []peer{newBerth(berthAlone, host, onLAN), newBerth(berthProbing, host, `"berth/networks":"probed"`)}
	var first samples
	if first, err = firstStart(peers[1]); err != nil {
		return nil, err
	}
	got, err := measure(peers, b.rounds, b.step)
	if err != nil {
		return nil, err
	}
	return probeSection(first, got, b.rounds), nil
}

// firstStart measures the first container of a host.
func firstStart(p peer) (samples, error) {
	took := samples{p.name: new([things]durations)}
	return took, measureLife(p, "first", true, took[p.name])
}

func probeSection(first, got samples, rounds int) *section {
	s := &section{
		how: fmt.Sprintf("The time of berth-hook for %d containers in a row, on a network with conflict_timeout = %q and on "+
			"one without a probe: medians.", 2*rounds, probeMost),
		head: []string{"", "no probe", "probing", "ratio", "fastest tenth"},
	}
	without, with := got[berthAlone][attach], got[berthProbing][attach]
	r := ratio(median(with), median(without))
	s.judge("≤ 1.50×", r <= 1.5, "attach, the next containers", ms(median(without)), ms(median(with)), fold(r),
		fold(ratio(quantile(with, 0.1), quantile(without, 0.1))))
	slowest := quantile(with, 1)
	s.addRow("the slowest of them", ms(quantile(without, 1)), ms(slowest), fold(ratio(slowest, quantile(without, 1))), "")
	s.addRow("attach, the first container of a host", "", ms(median(first[berthProbing][attach])), "", "")
	return s
}
