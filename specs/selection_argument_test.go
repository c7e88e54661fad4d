package specs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAddNetworks(t *testing.T) {
	named := []Selection{{Key: "berth/networks[0]", Network: "lan", Interface: "lan0"}}
	for _, c := range []struct {
		before []Selection
		add    []string
		want   string
	}{
		{nil, nil, ""},
		{nil, []string{"lan", "dmz", "lan"}, "lan dmz"},
		{named, []string{"lan"}, "lan@lan0"},
		{named, []string{"dmz", "lan"}, "lan@lan0 dmz"},
		{[]Selection{{InPlace: &Network{Parent: "eth1"}}}, []string{"lan"}, " lan"},
	} {
		all, err := AddNetworks(c.before, c.add)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range all {
			name := s.Network
			if s.Interface != "" {
				name += "@" + s.Interface
			}
			got = append(got, name)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%v and %q give %q, want %q", c.before, c.add, text, c.want)
		}
	}
}

func TestAddNetworksRefuses(t *testing.T) {
	var many []string
	for i := range MaxSelections + 1 {
		many = append(many, fmt.Sprint("n", i))
	}
	for _, names := range [][]string{{"../lan"}, {""}, many} {
		_, err := AddNetworks(nil, names)
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Key != ArgumentNetwork {
			t.Errorf("%q: error %v, want a ValueError of %s", names, err, ArgumentNetwork)
		}
	}
}
