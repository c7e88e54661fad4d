package network

import (
	"errors"
	"testing"

	"berth/specs"
)

func TestCheckOccupants(t *testing.T) {
	t.Parallel()
	macvlan := func(m specs.Mode) Occupant { return Occupant{Name: "x", Driver: specs.Macvlan, Mode: m} }
	ipvlan := func(m specs.Mode, f specs.IPvlanFlag) Occupant {
		return Occupant{Name: "x", Driver: specs.IPvlan, Mode: m, Flag: f}
	}
	for _, c := range []struct {
		name string
		link Link
		on   Occupant
		busy bool
	}{
		{"bridge beside vepa", Link{Driver: specs.Macvlan, Mode: specs.ModeBridge}, macvlan(specs.ModeVEPA), false},
		{"passthru beside bridge", Link{Driver: specs.Macvlan, Mode: specs.ModePassthru}, macvlan(specs.ModeBridge), true},
		{"bridge beside passthru", Link{Driver: specs.Macvlan, Mode: specs.ModeBridge}, macvlan(specs.ModePassthru), true},
		{"macvlan beside ipvlan", Link{Driver: specs.Macvlan, Mode: specs.ModeBridge}, ipvlan(specs.ModeL2, specs.FlagBridge), true},
		{"ipvlan beside macvlan", Link{Driver: specs.IPvlan, Mode: specs.ModeL2}, macvlan(specs.ModeBridge), true},
		{"l2 beside l2", Link{Driver: specs.IPvlan, Mode: specs.ModeL2}, ipvlan(specs.ModeL2, specs.FlagBridge), false},
		{"l3 beside l2", Link{Driver: specs.IPvlan, Mode: specs.ModeL3}, ipvlan(specs.ModeL2, specs.FlagBridge), true},
		{"another flag", Link{Driver: specs.IPvlan, Mode: specs.ModeL2, Flag: specs.FlagVEPA}, ipvlan(specs.ModeL2, specs.FlagBridge), true},
	} {
		err := CheckOccupants(c.link, []Occupant{c.on})
		if errors.Is(err, ErrParentBusy) != c.busy || (err != nil) != c.busy {
			t.Errorf("%s: error %v, want busy %v", c.name, err, c.busy)
		}
	}
	if err := CheckOccupants(Link{Driver: specs.Macvlan, Mode: specs.ModePassthru}, nil); err != nil {
		t.Errorf("passthru on a parent with nothing on it: %v", err)
	}
}
