package daemon

import (
	"slices"
	"testing"

	"berth/agent/metrics"
	"berth/specs"
)

// TestHealable lists which records `berth heal` is asked for.
func TestHealable(t *testing.T) {
	up := func(l link) link { l.up = true; return l }
	on := func(parent int, change func(*record)) *record {
		r := &record{nsid: 1, parentIndex: parent, phase: specs.PhaseAttached, Endpoint: metrics.Endpoint{Network: "lan", Parent: "eth1"}}
		if change != nil {
			change(r)
		}
		return r
	}
	lan, tagged := []*specs.Network{testNetwork("lan", "eth1")}, []*specs.Network{testNetwork("lan", "eth1.40")}
	for name, c := range map[string]struct {
		w    world
		want bool
	}{
		"parent back":          {world{networks: lan, links: []link{up(eth1)}, records: []*record{on(99, nil)}}, true},
		"without a file":       {world{links: []link{up(eth1)}, records: []*record{on(99, nil)}}, true},
		"half made":            {world{networks: lan, links: []link{up(eth1)}, records: []*record{on(4, func(r *record) { r.lost = true })}}, true},
		"trunk of a VLAN back": {world{networks: tagged, links: []link{up(eth1)}, records: []*record{on(99, nil)}}, true},
		"parent down":          {world{networks: lan, links: []link{eth1}, records: []*record{on(99, nil)}}, false},
		"parent absent":        {world{networks: lan, links: []link{up(eth2)}, records: []*record{on(99, nil)}}, false},
		"parent never gone":    {world{networks: lan, links: []link{up(eth1)}, records: []*record{on(4, nil)}}, false},
		"heal = false":         {world{networks: lan, links: []link{up(eth1)}, records: []*record{on(99, func(r *record) { r.noHeal = true })}}, false},
		"ended":                {world{networks: lan, links: []link{up(eth1)}, records: []*record{on(99, func(r *record) { r.phase = specs.PhaseEnded })}}, false},
		"being attached":       {world{networks: lan, links: []link{up(eth1)}, records: []*record{on(99, func(r *record) { r.phase = specs.PhaseAttaching })}}, false},
		"observed":             {world{networks: lan, links: []link{up(eth1)}, records: []*record{on(99, func(r *record) { r.observed = true })}}, false},
	} {
		if got := c.w.healable(); (len(got) == 1) != c.want {
			t.Errorf("%s: %d records, want %t", name, len(got), c.want)
		}
	}
}

// TestOrphans lists the records whose interface may have vanished with its parent.
func TestOrphans(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*record)
		want   bool
	}{
		"parent gone":      {func(*record) {}, true},
		"index reused":     {func(r *record) { r.parentIndex = 5 }, true},
		"no healing":       {func(r *record) { r.noHeal = true }, true},
		"parent exists":    {func(r *record) { r.parentIndex = 4 }, false},
		"recorded already": {func(r *record) { r.rare = &rare{vanished: 1} }, false},
		"being made again": {func(r *record) { r.lost = true }, false},
		"being attached":   {func(r *record) { r.phase = specs.PhaseAttaching }, false},
		"ended":            {func(r *record) { r.phase = specs.PhaseEnded }, false},
		"observed":         {func(r *record) { r.observed = true }, false},
		"no parent yet":    {func(r *record) { r.parentIndex = 0 }, false},
	} {
		r := &record{nsid: 1, parentIndex: 99, phase: specs.PhaseAttached, Endpoint: metrics.Endpoint{Parent: "eth1"}}
		c.change(r)
		w := world{links: []link{eth1, eth2}, records: []*record{r}}
		if got := w.orphans(); (len(got) == 1) != c.want {
			t.Errorf("%s: %d records, want %t", name, len(got), c.want)
		}
	}
}

// TestHealEvents: one event for each time that an interface vanished, or was made again.
func TestHealEvents(t *testing.T) {
	old := &record{phase: specs.PhaseAttached, Endpoint: metrics.Endpoint{Created: 1, Interface: "net1", Parent: "eth1"}}
	healed := &record{phase: specs.PhaseAttached, rare: &rare{healed: 5}, Endpoint: old.Endpoint}
	vanished := &record{phase: specs.PhaseAttached, rare: &rare{vanished: 4}, Endpoint: old.Endpoint}
	for name, c := range map[string]struct {
		old, now *record
		want     []specs.Kind
	}{
		"vanished":      {old, vanished, []specs.Kind{specs.InterfaceVanished}},
		"still away":    {vanished, vanished, nil},
		"back":          {vanished, healed, []specs.Kind{specs.InterfaceHealed}},
		"healed":        {old, healed, []specs.Kind{specs.InterfaceHealed}},
		"read again":    {healed, healed, nil},
		"first reading": {nil, healed, nil},
	} {
		var got []specs.Kind
		for _, e := range healEvents(c.old, c.now) {
			got = append(got, e.Kind)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
