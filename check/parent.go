package check

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/network"
	"berth/specs"
)

// Parent holds the facts about one parent.
type Parent struct {
	Asked     string          // its name in networks
	Found     *network.Parent // nil if Err is set
	Err       error
	Trunk     *network.Parent // of a VLAN; the same as Found if the VLAN does not exist yet
	OnDemand  int             // the ID of a VLAN that does not exist yet, else 0
	Device    network.Device
	Cards     []network.Device    // by which frames leave: its own, its trunk's, its ports'
	Upper     *network.LinkInfo   // the bridge, bond or VRF that it belongs to
	Addresses []netip.Addr        // its own
	Users     []User              // visible interfaces on it
	Agent     *specs.ParentStatus // the agent's state of it
}

// User is a macvlan or ipvlan interface on a parent.
type User struct {
	network.Occupant
	Network   string // of the attachment; "" if it does not belong to berth
	Container string // its container's name; "" for an interface of the host
}

func (u User) String() string {
	if u.Container == "" {
		return fmt.Sprintf("%s of this host", u.Name)
	}
	return fmt.Sprintf("%s of container %s", u.Name, u.Container)
}

// judgeParent checks a parent against the networks on it or, if there are none, against a
// macvlan in bridge mode.
func judgeParent(p Parent, dmi DMI, networks []*specs.Network) []Line {
	r := &report{subject: "parent " + p.Asked}
	if p.Found == nil {
		r.addFail("interface", remedyOfMissing(p.Err), "%v", p.Err)
		return r.lines
	}
	r.addPass("interface", "%s", describeParent(p))
	judgeLink(r, p)
	judgeUpper(r, p)
	drivers := driversOf(networks)
	judgeWireless(r, p, drivers)
	judgePromiscuity(r, p)
	judgePlatform(r, p, dmi, drivers)
	judgeUsers(r, p)
	judgeCounting(r, p)
	return r.lines
}

func remedyOfMissing(err error) string {
	switch {
	case errors.Is(err, network.ErrNotEthernet):
		return "set parent to an Ethernet interface, a VLAN of one, a bond or a bridge"
	case errors.Is(err, network.ErrStacked):
		return "set parent to the interface below it"
	case errors.Is(err, network.ErrVLAN):
		return "rename that interface, or set parent to another one"
	case errors.Is(err, network.ErrNoLink):
		return "correct parent in the network's file, or plug in or create the interface"
	}
	return "run it as root"
}

// describeParent returns a description of a parent.
func describeParent(p Parent) string {
	kind := "Ethernet"
	switch {
	case p.OnDemand != 0:
		return fmt.Sprintf("VLAN %d of %s, created with its first container", p.OnDemand, p.Trunk.Name)
	case p.Found.VLAN != 0 && p.Trunk != nil:
		kind = fmt.Sprintf("VLAN %d of %s", p.Found.VLAN, p.Trunk.Name)
	case p.Found.Kind != "":
		kind = p.Found.Kind
	case p.Device.Driver != "":
		kind += ", driver " + p.Device.Driver
	}
	if p.Found.Name != p.Asked {
		kind += ", named " + p.Found.Name
	}
	return fmt.Sprintf("%s, MAC %s, MTU %d", kind, p.Found.MAC, p.Found.MTU)
}

// judgeLink checks whether frames can leave.
func judgeLink(r *report, p Parent) {
	for _, l := range []*network.Parent{p.Trunk, p.Found} {
		if l != nil && !l.Up {
			r.addFail("up", "set it up, also in the host's network configuration: "+commandText("ip link set %s up", l.Name),
				"%s is down: no container can start on it", l.Name)
			return
		}
	}
	r.addPass("up", "yes")
	if p.Found.Carrier {
		r.addPass("carrier", "yes")
		return
	}
	r.addFail("carrier", "plug in the cable, or set up the other end (the switch's port, the bridge's ports, the veth "+
		"peer)",
		"%s has no link: containers can start, but reach no other host", p.Found.Name)
}

// judgeUpper checks for other users of a parent's frames: the kernel delivers them to one
// handler only (netdev_rx_handler_register in net/core/dev.c).
func judgeUpper(r *report, p Parent) {
	const check = "member of"
	if p.Upper == nil {
		r.addPass(check, "no bridge or bond")
		return
	}
	name := p.Upper.Name
	switch p.Upper.Kind {
	case "vrf":
		r.addPass(check, "VRF %s, which does not affect containers", name)
	case "bond", "team", "bridge":
		r.addFail(check, fmt.Sprintf("set the network's parent to %s, or remove %s from it", name, p.Found.Name),
			"%s %s: the kernel accepts no container on its ports", p.Upper.Kind, name)
	default:
		r.addFail(check, fmt.Sprintf("remove %s from %s, or use another parent", p.Found.Name, name),
			"%s (%s), which receives its frames", name, p.Upper.Kind)
	}
}

// judgeWireless checks wifi: an access point accepts frames of the one MAC that has
// associated (IEEE 802.11, three-address frames).
func judgeWireless(r *report, p Parent, drivers []specs.Driver) {
	const check = "wifi"
	card := p.Found
	if p.Trunk != nil {
		card = p.Trunk
	}
	switch {
	case !card.Wireless:
	case slices.Contains(drivers, specs.Macvlan):
		r.addFail(check, "set driver = \"ipvlan\" in the network's file (containers share the card's MAC), or use a wired "+
			"interface",
			"%s is wireless: access points drop frames from other MACs than its own", card.Name)
	default:
		r.addPass(check, "%s is wireless, and ipvlan uses its MAC", card.Name)
	}
}

// judgePromiscuity reports whether the parent is promiscuous. Software devices do not
// filter, so it costs nothing there.
func judgePromiscuity(r *report, p Parent) {
	const check = "filter"
	d := p.Device
	switch {
	case d.Promiscuity > 0 && d.Bus != "":
		r.addWarn(check, "find the program that requires it (tcpdump, a bridge, passthru without nopromisc); a card whose "+
			"MAC filter is full must be promiscuous",
			"%s is promiscuous: the host handles every frame on the wire", p.Found.Name)
	case d.Promiscuity > 0:
		r.addPass(check, "promiscuous, like every software device without a filter")
	case d.AllMulticast && d.Bus != "":
		r.addWarn(check, "find the program that requires it (a multicast router, a container in "+
			"allmulticast): "+commandText("ip -d maddress"),
			"%s receives all multicast", p.Found.Name)
	default:
		r.addPass(check, "by MAC; the kernel adds the containers' MACs")
	}
}

// judgePlatform reports the setting that a hypervisor must have. It is not visible from
// inside.
func judgePlatform(r *report, p Parent, dmi DMI, drivers []specs.Driver) {
	const check = "hypervisor"
	cards := slices.DeleteFunc(slices.Clone(p.Cards), func(d network.Device) bool { return d.Bus == "" })
	platform := platformOf(dmi, cards)
	macvlan := slices.Contains(drivers, specs.Macvlan)
	switch i := slices.IndexFunc(cards, isVF); {
	case len(cards) == 0:
		r.addPass(check, "none: %s uses no network card", p.Found.Name)
	case macvlan && i >= 0:
		r.addWarn(check, "on the host: "+commandText("ip link set PF vf N trust on spoofchk off"),
			"%s is a virtual function, which may drop frames from other MACs", cards[i].Driver)
	case platform == nil:
		r.addPass(check, "none")
	case macvlan && platform.Drops:
		r.addFail(check, fmt.Sprintf("set driver = \"ipvlan\" and mode l2 or l3 in the network's file, and %s",
			platform.Allow),
			"%s drops frames from MACs that it did not assign", platform.Name)
	case macvlan:
		r.addWarn(check, platform.Allow, "%s must pass frames from the containers' MACs", platform.Name)
	case platform.Drops:
		r.addWarn(check, platform.Allow, "%s must know the containers' addresses", platform.Name)
	default:
		r.addPass(check, "%s; ipvlan uses the card's MAC", platform.Name)
	}
}

// judgeUsers reports the interfaces on a parent.
func judgeUsers(r *report, p Parent) {
	const check = "carries"
	if len(p.Users) == 0 {
		r.addPass(check, "nothing yet")
		return
	}
	count := make(map[string]int)
	for _, u := range p.Users {
		count[fmt.Sprintf("%s %s", u.Driver, u.Mode)]++
	}
	var parts []string
	for kind, n := range count {
		parts = append(parts, fmt.Sprintf("%d of %s", n, kind))
	}
	slices.Sort(parts)
	r.addPass(check, "%s", strings.Join(parts, ", "))
}

// judgeCounting reports the agent's state of a parent, or nothing if no agent runs.
func judgeCounting(r *report, p Parent) {
	const check = "counting"
	if p.Agent == nil {
		return
	}
	switch p.Agent.State {
	case specs.ParentCounting:
		r.addPass(check, "yes, by %s", p.Agent.Attach)
	case specs.ParentOnDemand:
		r.addPass(check, "from its first container on")
	case specs.ParentDetached:
		r.addWarn(check, commandText("berth agent attach"), "no: detached on request")
	case specs.ParentFailed:
		r.addFail(check, "the agent tries again by itself; its problems are listed by "+commandText("berth agent status"),
			"no: %s", p.Agent.Problem)
	default:
		r.addWarn(check, commandText("berth agent status"), "no: %s", p.Agent.State)
	}
}

// driversOf returns the drivers of networks, or the default one if there are none.
func driversOf(networks []*specs.Network) (all []specs.Driver) {
	for _, n := range networks {
		if !slices.Contains(all, n.Driver) {
			all = append(all, n.Driver)
		}
	}
	if len(all) == 0 {
		all = append(all, specs.Macvlan)
	}
	return all
}
