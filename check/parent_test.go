package check

import (
	"fmt"
	"testing"

	"berth/network"
	"berth/specs"
)

// parentCase is the input of judgeParent.
type parentCase struct {
	Parent
	DMI      DMI
	Networks []*specs.Network
}

func goodParent() parentCase {
	card := network.Device{Driver: "e1000e", Bus: "0000:00:1f.6"}
	return parentCase{
		Parent: Parent{
			Asked:  "eth1",
			Found:  &network.Parent{Name: "eth1", Index: 2, MTU: 1500, MAC: testMAC(1), Up: true, Carrier: true},
			Device: card, Cards: []network.Device{card},
			Agent: &specs.ParentStatus{Name: "eth1", State: specs.ParentCounting, Attach: "tcx"},
		},
		DMI:      DMI{Vendor: "Example Computers", Product: "Server 1"},
		Networks: []*specs.Network{{Name: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge}},
	}
}

func testMAC(last byte) specs.MAC { return specs.MAC{2, 0, 0x5e, 0, 0x53, last} }

func (c *parentCase) useIPvlan() {
	c.Networks[0].Driver, c.Networks[0].Mode = specs.IPvlan, specs.ModeL2
}

func (c *parentCase) useDriver(driver string) {
	c.Device.Driver, c.Cards[0].Driver = driver, driver
}

func upperOf(kind string) func(*parentCase) {
	return func(c *parentCase) { c.Upper = &network.LinkInfo{Name: "up0", Kind: kind} }
}

func vendorIs(d DMI) func(*parentCase) { return func(c *parentCase) { c.DMI = d } }

func TestJudgeParent(t *testing.T) {
	judge := func(c parentCase) []Line { return judgeParent(c.Parent, c.DMI, c.Networks) }
	goldenVariations(t, "parent", goodParent, judge, []variation[parentCase]{
		{"down", "up", Fail, func(c *parentCase) { c.Found.Up = false }},
		{"trunk down", "up", Fail, func(c *parentCase) { c.Trunk = &network.Parent{Name: "trunk0"} }},
		{"no carrier", "carrier", Fail, func(c *parentCase) { c.Found.Carrier = false }},
		{"port of a bridge", "member of", Fail, upperOf("bridge")},
		{"port of a bond", "member of", Fail, upperOf("bond")},
		{"port of Open vSwitch", "member of", Fail, upperOf("openvswitch")},
		{"in a VRF", "member of", Pass, upperOf("vrf")},
		{"wireless, macvlan", "wifi", Fail, func(c *parentCase) { c.Found.Wireless = true }},
		{"promiscuous", "filter", Warn, func(c *parentCase) { c.Device.Promiscuity = 2 }},
		{"all multicast", "filter", Warn, func(c *parentCase) { c.Device.AllMulticast = true }},
		{"promiscuous software", "filter", Pass, func(c *parentCase) { c.Device.Bus, c.Device.Promiscuity = "", 1 }},
		{"in use", "carries", Pass, func(c *parentCase) {
			bridge := User{Occupant: network.Occupant{Driver: specs.Macvlan, Mode: specs.ModeBridge}}
			private := User{Occupant: network.Occupant{Driver: specs.Macvlan, Mode: specs.ModePrivate}}
			c.Users = []User{bridge, private, bridge}
		}},
		{"agent waits", "counting", Warn, func(c *parentCase) { c.Agent.State = specs.ParentWaiting }},
		{"agent detached", "counting", Warn, func(c *parentCase) { c.Agent.State = specs.ParentDetached }},
		{"agent failed", "counting", Fail, func(c *parentCase) {
			c.Agent.State, c.Agent.Problem = specs.ParentFailed, "attach to interface 2: operation not supported"
		}},
		{"on demand", "counting", Pass, func(c *parentCase) { c.Agent.State = specs.ParentOnDemand }},
		{"VMware by firmware", "hypervisor", Warn, vendorIs(DMI{Vendor: "VMware, Inc.", Product: "VMware Virtual Platform"})},
		{"Hyper-V", "hypervisor", Warn, vendorIs(DMI{Vendor: "Microsoft Corporation", Product: "Virtual Machine"})},
		{"Azure", "hypervisor", Fail, vendorIs(DMI{Vendor: "Microsoft Corporation", Product: "Virtual Machine", AssetTag: "7783-7084-3265-9085-8269-3286-77"})},
		{"VirtualBox", "hypervisor", Warn, vendorIs(DMI{Vendor: "innotek GmbH", Product: "VirtualBox"})},
		{"OpenStack", "hypervisor", Warn, vendorIs(DMI{Vendor: "OpenStack Foundation", Product: "OpenStack Nova"})},
		{"EC2", "hypervisor", Fail, vendorIs(DMI{Vendor: "Amazon EC2"})},
		{"EC2 on Xen", "hypervisor", Fail, vendorIs(DMI{Vendor: "Xen", BIOS: "4.11.amazon"})},
		{"Google", "hypervisor", Fail, vendorIs(DMI{Vendor: "Google", Product: "Google Compute Engine"})},
		{"EC2, ipvlan", "hypervisor", Warn, func(c *parentCase) { c.useIPvlan(); c.DMI = DMI{Vendor: "Amazon EC2"} }},
		{"virtual function", "hypervisor", Warn, func(c *parentCase) { c.Cards[0].Driver = "ixgbevf" }},
		{"a veth in a virtual machine", "hypervisor", Pass, func(c *parentCase) {
			c.DMI, c.Cards = DMI{Vendor: "QEMU"}, []network.Device{{Driver: "veth"}}
		}},
	})
}

// TestJudgeParentByDriver: the driver of the card identifies the platform if the firmware does not.
func TestJudgeParentByDriver(t *testing.T) {
	for driver, want := range map[string]Result{
		"virtio_net": Warn, "vmxnet3": Warn, "hv_netvsc": Warn, "vif": Warn, "ena": Fail, "gve": Fail, "mana": Fail, "igb": Pass,
	} {
		for _, ipvlan := range []bool{false, true} {
			c := goodParent()
			c.Cards[0].Driver = driver
			result := want
			if ipvlan {
				c.useIPvlan()
				result = map[Result]Result{Pass: Pass, Warn: Pass, Fail: Warn}[want]
			}
			want := Line{Check: "hypervisor", Result: result}
			got := mustFindLine(t, judgeParent(c.Parent, c.DMI, c.Networks), want.Check)
			if got.Result != want.Result {
				t.Errorf("%s, ipvlan %t: %+v, want %s", driver, ipvlan, got, want.Result)
			}
		}
	}
}

func TestJudgeParentKinds(t *testing.T) {
	eth1 := goodParent().Found
	missing := func(err error) func(*parentCase) {
		return func(c *parentCase) { c.Found, c.Err = nil, fmt.Errorf("parent %q: %w", "eth1", err) }
	}
	goldenVariations(t, "parent_kinds", goodParent, func(c parentCase) []Line {
		return judgeParent(c.Parent, c.DMI, c.Networks)[:1]
	}, []variation[parentCase]{
		{"gone", "interface", Fail, missing(network.ErrNoLink)},
		{"loopback", "interface", Fail, missing(network.ErrNotEthernet)},
		{"a macvlan", "interface", Fail, missing(network.ErrStacked)},
		{"a VLAN of another id", "interface", Fail, missing(network.ErrVLAN)},
		{"a VLAN", "interface", Pass, func(c *parentCase) {
			c.Asked, c.Trunk = "eth1.100", eth1
			c.Found = &network.Parent{Name: "v2.100", Kind: "vlan", VLAN: 100, TrunkIndex: 2, MTU: 1500, MAC: testMAC(1)}
		}},
		{"a VLAN on demand", "interface", Pass, func(c *parentCase) { c.Asked, c.Trunk, c.OnDemand = "eth1.100", eth1, 100 }},
		{"a bond", "interface", Pass, func(c *parentCase) { c.Found.Kind = "bond" }},
		{"a virtual card", "interface", Pass, func(c *parentCase) { c.useDriver("virtio_net") }},
	})
}

func TestWirelessIsForIPvlan(t *testing.T) {
	c := goodParent()
	c.Found.Wireless = true
	c.useIPvlan()
	if got := mustFindLine(t, judgeParent(c.Parent, c.DMI, c.Networks), "wifi"); got.Result != Pass {
		t.Errorf("ipvlan on wifi: %+v", got)
	}
}

// mustFindLine returns the first line of a check that is not a pass, else its first.
func mustFindLine(t *testing.T, lines []Line, check string) (found Line) {
	t.Helper()
	for _, l := range lines {
		if l.Check == check && (found.Check == "" || found.Result == Pass) {
			found = l
		}
	}
	if found.Check == "" {
		t.Fatalf("no line %q in %+v", check, lines)
	}
	return found
}
