package network

import (
	"errors"
	"strings"
	"testing"

	"berth/specs"
)

func TestCheckSharing(t *testing.T) {
	t.Parallel()
	macvlan := func(m specs.Mode) Use { return Use{Driver: specs.Macvlan, Mode: m} }
	ipvlan := func(m specs.Mode, f specs.IPvlanFlag) Use { return Use{Driver: specs.IPvlan, Mode: m, Flag: f} }
	const drivers, whole, oneMode = "not both", "passthru takes a parent whole", "one mode and flag"
	for _, c := range []struct {
		name string
		a, b Use
		rule string // "" if they may share
	}{
		{"bridge and vepa", macvlan(specs.ModeBridge), macvlan(specs.ModeVEPA), ""},
		{"bridge and source", macvlan(specs.ModeBridge), macvlan(specs.ModeSource), ""},
		{"passthru and bridge", macvlan(specs.ModePassthru), macvlan(specs.ModeBridge), whole},
		{"two in passthru", macvlan(specs.ModePassthru), macvlan(specs.ModePassthru), whole},
		{"macvlan and ipvlan", macvlan(specs.ModeBridge), ipvlan(specs.ModeL2, ""), drivers},
		{"passthru and ipvlan", macvlan(specs.ModePassthru), ipvlan(specs.ModeL2, ""), drivers},
		{"l2 twice", ipvlan(specs.ModeL2, ""), ipvlan(specs.ModeL2, ""), ""},
		{"bridge said and not said", ipvlan(specs.ModeL2, specs.FlagBridge), ipvlan(specs.ModeL2, ""), ""},
		{"l3 and l2", ipvlan(specs.ModeL3, ""), ipvlan(specs.ModeL2, ""), oneMode},
		{"another flag", ipvlan(specs.ModeL2, specs.FlagVEPA), ipvlan(specs.ModeL2, ""), oneMode},
		{"two flags", ipvlan(specs.ModeL2, specs.FlagVEPA), ipvlan(specs.ModeL2, specs.FlagPrivate), oneMode},
	} {
		for _, pair := range [][2]Use{{c.a, c.b}, {c.b, c.a}} {
			err := pair[0].CheckSharing(pair[1], `interface "x"`)
			if c.rule == "" {
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				continue
			}
			if !errors.Is(err, ErrParentBusy) || !strings.HasSuffix(err.Error(), c.rule) {
				t.Errorf("%s: error %v, want rule %q", c.name, err, c.rule)
			}
		}
	}
	err := CheckOccupants(macvlan(specs.ModeBridge), []Occupant{
		{Name: "mv0", Driver: specs.Macvlan, Mode: specs.ModeBridge}, {Name: "mv1", Driver: specs.Macvlan, Mode: specs.ModePassthru},
	})
	const want = `interface "mv1" of the host (macvlan, mode passthru) is on it, and passthru takes a parent whole`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if err := CheckOccupants(macvlan(specs.ModePassthru), nil); err != nil {
		t.Errorf("passthru on a parent with nothing on it: %v", err)
	}
}
