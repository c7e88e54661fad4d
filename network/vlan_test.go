package network

import (
	"math"
	"slices"
	"testing"
)

func TestVLANNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trunk     string
		index, id int
		want      []string
	}{
		{"eth1", 3, 100, []string{"eth1.100", "v3.100"}},
		{"enp130s0f0", 40, 1318, []string{"enp130s0f0.1318", "v14.1318"}},
		{"enp130s0f0np0", 40, 1318, []string{"v14.1318"}},
		{"enp130s0f0np0", math.MaxInt32, 4094, []string{"vzik0zj.4094"}},
	} {
		got := vlanNames(c.trunk, c.index, c.id)
		if !slices.Equal(got, c.want) {
			t.Errorf("VLAN %d of %s: %q, want %q", c.id, c.trunk, got, c.want)
		}
		for _, name := range got {
			if len(name) > 15 {
				t.Errorf("%q has %d bytes", name, len(name))
			}
		}
	}
}
