package release

import (
	"slices"
	"testing"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

func TestWhoseLinkItIs(t *testing.T) {
	t.Parallel()
	a := &state.Attachment{
		Cookie: 5, Interface: "net1", Driver: specs.Macvlan, Phase: specs.PhaseAttached,
		MAC: specs.MAC{2, 0, 0, 0, 0, 1}, ParentIndex: 4,
	}
	attaching, ipvlan, vlanToBe := *a, *a, *a
	attaching.Phase, attaching.Driver = specs.PhaseAttaching, specs.IPvlan
	ipvlan.Driver = specs.IPvlan
	vlanToBe.Phase, vlanToBe.ParentIndex, vlanToBe.VLAN = specs.PhaseAttaching, 0, 100
	other := specs.MAC{2, 0, 0, 0, 0, 2}
	for _, test := range []struct {
		name string
		a    *state.Attachment
		link network.LinkInfo
		ours bool
	}{
		{"as it was made", a, network.LinkInfo{Alias: a.Alias(), MAC: a.MAC, ParentIndex: 4}, true},
		{"MAC changed in the container", a, network.LinkInfo{Alias: a.Alias(), MAC: other, ParentIndex: 4}, true},
		{"alias removed in the container, or not set yet", a, network.LinkInfo{MAC: a.MAC, ParentIndex: 4}, true},
		{"ipvlan, alias not set yet", &attaching, network.LinkInfo{MAC: a.MAC, ParentIndex: 4}, true},
		{"VLAN made, its index not recorded yet", &vlanToBe, network.LinkInfo{MAC: a.MAC, ParentIndex: 12}, true},
		{"ipvlan of somebody else", &ipvlan, network.LinkInfo{MAC: a.MAC, ParentIndex: 4}, false},
		{"another namespace's of berth", a, network.LinkInfo{Alias: "berth:0000000000000006/net1", MAC: a.MAC, ParentIndex: 4}, false},
		{"somebody else's", a, network.LinkInfo{MAC: other, ParentIndex: 4}, false},
		{"a veth with our alias", a, network.LinkInfo{Alias: a.Alias(), MAC: other, ParentIndex: 77}, false},
		{"somebody else's with our MAC", a, network.LinkInfo{MAC: a.MAC, ParentIndex: 77}, false},
	} {
		if got := isOurs(test.a, &test.link); got != test.ours {
			t.Errorf("%s: ours %v, want %v", test.name, got, test.ours)
		}
	}
}

func TestVLANStays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *state.Store, f *fake){
		"another attachment uses it": func(s *state.Store, f *fake) {
			f.put(recordAttached(t, s, &state.Attachment{
				Cookie: 6, NSID: 4, LinkIndex: 2, Containers: []string{"d"}, Parent: "eth1.100", ParentIndex: 9, TrunkIndex: 7, VLAN: 100,
			}))
		},
		"something that is not berth's is on it": func(_ *state.Store, f *fake) { f.occupants[9] = []network.Occupant{{Name: "mv0"}} },
		"it is in a bridge":                      func(_ *state.Store, f *fake) { f.parents["eth1.100"].Upper = 12 },
		"its name is another's":                  func(_ *state.Store, f *fake) { f.parents["eth1.100"].VLAN = 101 },
		"the administrator made it": func(s *state.Store, f *fake) {
			must(t, s.Update(t.Context(), func(tx *state.Tx) error {
				for _, ifname := range []string{"net1", "net2"} {
					if _, _, err := tx.RemoveVLANUser(7, 100, state.Key(5, ifname)); err != nil {
						return err
					}
				}
				return tx.AddVLANUser(7, 100, state.Key(5, "net1"), false)
			}))
		},
	} {
		s, f := newStore(t), newFake()
		recordPair(t, s, f)
		change(s, f)
		must(t, f.releaser(s).Container(t.Context(), "c"))
		if len(f.parents) != 1 || slices.Contains(f.log, "delete VLAN") {
			t.Errorf("%s: it was deleted", name)
		}
		if liveRecord(t, s, state.Key(5, "net1")) != nil {
			t.Errorf("%s: the attachment was not released", name)
		}
	}
}
