package foreign

import (
	"net/netip"
	"strings"
	"testing"

	"berth/specs"
)

var (
	webID, dbID = strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	webMAC      = specs.MAC{2, 0x42, 0xc0, 0, 2, 0x41}
	dockerLAN   = specs.EngineNetwork{Engine: specs.EngineDocker, Name: "lan"}
)

func addresses(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// TestNetworkOf states by which facts a holding is that of an interface.
func TestNetworkOf(t *testing.T) {
	found := Interface{Container: webID, Name: "eth0", MAC: webMAC, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.65/24")}}
	for name, c := range map[string]struct {
		h      Holding
		change func(*Interface)
		want   bool
	}{
		"its MAC":                    {h: Holding{Container: dbID, MAC: webMAC}, want: true},
		"its parent's MAC":           {h: Holding{Container: dbID, MAC: webMAC}, change: func(i *Interface) { i.SharesMAC = true }},
		"container and address":      {h: Holding{Container: webID, Addresses: addresses("192.0.2.9", "192.0.2.65")}, want: true},
		"its MAC has changed":        {h: Holding{Container: webID, MAC: specs.MAC{2, 1}, Addresses: addresses("192.0.2.65")}, want: true},
		"another container":          {h: Holding{Container: dbID, Addresses: addresses("192.0.2.65")}},
		"container and name":         {h: Holding{Container: webID, Interface: "eth0"}, want: true},
		"container and another name": {h: Holding{Container: webID, Interface: "eth1"}},
		"container alone":            {h: Holding{Container: webID}},
		"nerdctl's ID":               {h: Holding{Container: "default-" + webID, Interface: "eth0"}, want: true},
		"unknown container":          {h: Holding{Container: dbID, Addresses: addresses("192.0.2.65")}, change: func(i *Interface) { i.Container = "" }, want: true},
		"unknown container, another MAC": {h: Holding{Container: dbID, MAC: specs.MAC{2, 1}, Addresses: addresses("192.0.2.65")},
			change: func(i *Interface) { i.Container = "" }},
	} {
		i := found
		if c.change != nil {
			c.change(&i)
		}
		c.h.Network = dockerLAN
		got := NetworkOf(&i, []Holding{{Network: specs.EngineNetwork{Engine: specs.EngineCNI, Name: "other"}, Container: "other"}, c.h})
		if (got != nil) != c.want || got != nil && *got != dockerLAN {
			t.Errorf("%s: %v, want a network: %t", name, got, c.want)
		}
	}
}

// TestNetworkOfSeveral names no network if two match.
func TestNetworkOfSeveral(t *testing.T) {
	i := Interface{Name: "eth0", MAC: webMAC, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.65/24")}}
	same := Holding{Network: dockerLAN, MAC: webMAC}
	other := Holding{Network: specs.EngineNetwork{Engine: specs.EnginePodman, Name: "lan"}, Container: dbID, Addresses: addresses("192.0.2.65")}
	if got := NetworkOf(&i, []Holding{same, same}); got == nil || *got != dockerLAN {
		t.Errorf("twice the same: %v, want %s", got, dockerLAN)
	}
	if got := NetworkOf(&i, []Holding{same, other}); got != nil {
		t.Errorf("two networks: %s, want none", got)
	}
}
