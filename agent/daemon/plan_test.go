package daemon

import (
	"fmt"
	"testing"

	"berth/agent/metrics"
	"berth/bpf"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

var (
	macA = specs.MAC{2, 0, 0x5e, 0, 0x53, 0xa}
	macB = specs.MAC{2, 0, 0x5e, 0, 0x53, 0xb}
	eth1 = link{index: 4, name: "eth1", mac: macA, ethernet: true}
	eth2 = link{index: 5, name: "eth2", mac: macB, ethernet: true}
	vlan = link{index: 6, name: "trunked", mac: macA, ethernet: true, trunk: 4, vlan: 100}
	tun  = link{index: 7, name: "tun0"}

	named = link{index: 4, name: "eth1", altNames: []string{"office", "lan.100"}, mac: macA, ethernet: true}
)

func testNetwork(name, parent string) *specs.Network {
	return &specs.Network{Name: name, Parent: parent}
}

func recordOn(parent int, network string, phase specs.Phase) *record {
	return &record{parentIndex: parent, phase: phase, Endpoint: metrics.Endpoint{Network: network}}
}

func countingStatus(l link, how string, endpoints int, networks ...string) specs.ParentStatus {
	return specs.ParentStatus{Name: l.name, Index: l.index, MAC: l.mac, State: specs.ParentCounting,
		Attach: how, Networks: append([]string{}, networks...), Endpoints: endpoints}
}

// failedStatus is a parent without the programs.
func failedStatus(l link, endpoints int, networks ...string) specs.ParentStatus {
	s := countingStatus(l, "", endpoints, networks...)
	s.State, s.Problem = specs.ParentFailed, fmt.Sprintf("parent %q: berth's programs are not attached", l.name)
	return s
}

func TestPlanParents(t *testing.T) {
	waiting := specs.ParentStatus{Name: "eth9", State: specs.ParentWaiting, Networks: []string{"lan"},
		Problem: `parent "eth9" of network "lan" does not exist; create it, or correct the network's file`}
	for name, c := range map[string]struct {
		world world
		want  plan
	}{
		"nothing wanted": {
			world{links: []link{eth1}},
			plan{parents: []specs.ParentStatus{}},
		},
		"a network's parent": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1"), testNetwork("lab", "eth1")}, links: []link{eth1, eth2}},
			plan{attach: []link{eth1}, parents: []specs.ParentStatus{failedStatus(eth1, 0, "lab", "lan")}},
		},
		"a parent by an alternative name that looks like a VLAN": {
			world{networks: []*specs.Network{testNetwork("lan", "lan.100"), testNetwork("lab", "eth1")}, links: []link{named, vlan}},
			plan{attach: []link{named}, parents: []specs.ParentStatus{failedStatus(named, 0, "lab", "lan")}},
		},
		"VLANs by an alternative name of the trunk": {
			world{networks: []*specs.Network{testNetwork("lan", "office.100"), testNetwork("lab", "office.7")}, links: []link{named, vlan}},
			plan{attach: []link{vlan}, parents: []specs.ParentStatus{
				{Name: "office.7", State: specs.ParentOnDemand, Networks: []string{"lab"}}, failedStatus(vlan, 0, "lan")}},
		},
		"attached by this agent": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1},
				attached: map[int]bpf.Attachment{4: {Kind: "tcx"}}, done: map[int]specs.MAC{4: macA}},
			plan{parents: []specs.ParentStatus{countingStatus(eth1, "tcx", 0, "lan")}},
		},
		"attached by an earlier agent: put this one's programs there": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1}, attached: map[int]bpf.Attachment{4: {Kind: "tcx"}}},
			plan{attach: []link{eth1}, parents: []specs.ParentStatus{countingStatus(eth1, "tcx", 0, "lan")}},
		},
		"somebody took the programs off": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1}, done: map[int]specs.MAC{4: macA}},
			plan{attach: []link{eth1}, parents: []specs.ParentStatus{failedStatus(eth1, 0, "lan")}},
		},
		"the parent's MAC changed": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1},
				attached: map[int]bpf.Attachment{4: {Kind: "tcx"}}, done: map[int]specs.MAC{4: macB}},
			plan{attach: []link{eth1}, parents: []specs.ParentStatus{countingStatus(eth1, "tcx", 0, "lan")}},
		},
		"an attachment without a network": {
			world{records: []*record{recordOn(5, "", specs.PhaseAttaching), recordOn(5, "", specs.PhaseAttached)}, links: []link{eth1, eth2}},
			plan{attach: []link{eth2}, parents: []specs.ParentStatus{failedStatus(eth2, 2)}},
		},
		"ended attachments want nothing": {
			world{records: []*record{recordOn(5, "", specs.PhaseEnded)}, links: []link{eth2}, attached: map[int]bpf.Attachment{5: {Kind: "tcx"}}},
			plan{detach: []int{5}, parents: []specs.ParentStatus{}},
		},
		"the parent went away": {
			world{records: []*record{recordOn(5, "", specs.PhaseAttached)}, done: map[int]specs.MAC{5: macB}},
			plan{detach: []int{5}, parents: []specs.ParentStatus{}},
		},
		"the parent does not exist yet": {
			world{networks: []*specs.Network{testNetwork("lan", "eth9")}, links: []link{eth1}},
			plan{parents: []specs.ParentStatus{waiting}},
		},
		"a VLAN under another name": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1.100")}, links: []link{eth1, vlan}},
			plan{attach: []link{vlan}, parents: []specs.ParentStatus{failedStatus(vlan, 0, "lan")}},
		},
		"a VLAN that is made on demand": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1.101")}, links: []link{eth1, vlan}},
			plan{parents: []specs.ParentStatus{{Name: "eth1.101", State: specs.ParentOnDemand, Networks: []string{"lan"}}}},
		},
		"no Ethernet": {
			world{networks: []*specs.Network{testNetwork("lan", "tun0")}, links: []link{tun}},
			plan{parents: []specs.ParentStatus{{Name: "tun0", Index: 7, State: specs.ParentFailed, Networks: []string{"lan"},
				Problem: `parent "tun0" is not an Ethernet interface; name another one in the network's file`}}},
		},
		"refused before: tried again": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1}, failed: map[int]string{4: "no room"}},
			plan{attach: []link{eth1}, parents: []specs.ParentStatus{{Name: "eth1", Index: 4, MAC: macA,
				State: specs.ParentFailed, Networks: []string{"lan"}, Problem: "no room"}}},
		},
		"another's program is ahead": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1}, done: map[int]specs.MAC{4: macA},
				attached: map[int]bpf.Attachment{4: {Kind: "tcx", ProgramsAhead: []string{"tcx ingress program id 7"}}}},
			plan{parents: []specs.ParentStatus{{Name: "eth1", Index: 4, MAC: macA, State: specs.ParentFailed, Attach: "tcx",
				Networks: []string{"lan"}, Problem: `parent "eth1": frames may pass uncounted, because berth's programs run after ` +
					"tcx ingress program id 7; remove it, or attach it after berth's: " +
					"`berth agent detach` and `berth agent attach` put berth's first"}}},
		},
		"a program of another run, put there since": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1}, done: map[int]specs.MAC{4: macA},
				attached: map[int]bpf.Attachment{4: {Kind: "tcx", Old: true}}},
			plan{attach: []link{eth1}, parents: []specs.ParentStatus{countingStatus(eth1, "tcx", 0, "lan")}},
		},
		"detached on request": {
			world{networks: []*specs.Network{testNetwork("lan", "eth1")}, links: []link{eth1},
				attached: map[int]bpf.Attachment{4: {Kind: "tcx"}}, done: map[int]specs.MAC{4: macA}, off: true},
			plan{detach: []int{4}, parents: []specs.ParentStatus{{Name: "eth1", Index: 4, MAC: macA,
				State: specs.ParentDetached, Networks: []string{"lan"}}}},
		},
	} {
		got := planParents(c.world)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(plan{}, link{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}
