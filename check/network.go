package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/foreign"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// Network holds the facts about one network beside its file.
type Network struct {
	*specs.Network
	Parent Parent
	Others []*specs.Network // further networks on the parent
	Host   []netip.Addr     // the host's addresses, on any interface but berth's shim
	Held   []lease.Lease    // addresses leased on the parent, by any network

	Foreign []state.ForeignAddress // of other programs, on the parent; none if the agent does not run

	Pools []foreign.Network // of other programs, on the parent

	Shared Shared // of a network whose pool nodes share

	DHCP, DHCPv6 DHCP // of a network that is checked alone, and whose addresses a DHCP server leases

	NoIPv6   error    // why the kernel has no IPv6; nil if it has
	Unset    []string // settings that cannot be written for a container and do not have the value by default
	UnsetErr error    // why that could not be read
}

// judgeNetwork checks a network against its parent and the host.
func judgeNetwork(n Network) []Line {
	r := &report{subject: "network " + n.Name}
	r.addPass("kind", "%s %s on %s", n.Driver, n.Mode, n.Network.Parent)
	if n.Parent.Found != nil {
		judgeMTU(r, n)
		judgeSharing(r, n)
	}
	judgeOthers(r, n)
	judgeIPv6(r, n)
	judgeSysctls(r, n)
	judgeEnforced(r, n)
	judgeDHCP(r, "DHCP", n.DHCP, n.Parent, "containers will not start")
	judgeDHCP(r, "DHCPv6", n.DHCPv6, n.Parent, "containers will not start, unless a router announces that it has no "+
		"addresses by DHCPv6 (no flag M)")
	for _, s := range n.Subnets {
		judgeSubnet(r, n, s)
	}
	judgeForeign(r, n)
	judgePools(r, n)
	return r.lines
}

func judgeMTU(r *report, n Network) {
	on := n.Parent.Found
	switch {
	case n.MTU == 0:
		r.addPass("MTU", "%d, the parent's", on.MTU)
	case n.MTU > on.MTU:
		r.addFail("MTU", fmt.Sprintf("set mtu = %d in the network's file; or, if the LAN carries larger frames: ",
			on.MTU)+commandText("ip link set %s mtu %d", on.Name, n.MTU),
			"%d is more than the %d of %s: no container can start", n.MTU, on.MTU, on.Name)
	default:
		r.addPass("MTU", "%d of the parent's %d", n.MTU, on.MTU)
	}
}

// judgeSharing checks a network against the interfaces on its parent now.
func judgeSharing(r *report, n Network) {
	const check = "beside"
	use := network.Use{Driver: n.Driver, Mode: n.Mode, Flag: n.IPvlanFlag}
	for _, u := range n.Parent.Users {
		err := use.CheckSharing(u.Use(), u.String())
		switch {
		case err == nil:
		case n.Mode == specs.ModePassthru && u.Mode == specs.ModePassthru && u.Network == n.Name:
			r.addWarn(check, "stop that container first, or use another parent for the next one",
				"%s has the parent for itself: no other container can start", u)
			return
		default:
			r.addFail(check, "stop the other containers, or use another parent for this network", "%v", err)
			return
		}
	}
	r.addPass(check, "nothing on the parent conflicts")
}

// judgeOthers warns of networks that cannot be in use at the same time.
func judgeOthers(r *report, n Network) {
	use := network.Use{Driver: n.Driver, Mode: n.Mode, Flag: n.IPvlanFlag}
	for _, o := range n.Others {
		other := network.Use{Driver: o.Driver, Mode: o.Mode, Flag: o.IPvlanFlag}
		if use.CheckSharing(other, o.Name) != nil {
			r.addWarn("shares", "use another parent for one of them, or the same driver and mode for both",
				"network %s on the same parent is %s %s: only one of the two can be in use", o.Name, o.Driver, o.Mode)
		}
	}
}

// judgeIPv6 checks whether the kernel has the IPv6 that a network wants.
func judgeIPv6(r *report, n Network) {
	if n.NoIPv6 == nil || network.IPv6SettingsOf(n.Network, n.HasIPv6()).Off() {
		return
	}
	r.addFail("kernel", "start the kernel with IPv6; or remove IPv6 from the network's file: no IPv6 subnet, and ipv6 "+
		"= \"off\"",
		"%v: no container can start", n.NoIPv6)
}

// judgeSysctls checks whether the settings of a container's interface can be written. If
// so, there is no line, because it is the case almost everywhere.
func judgeSysctls(r *report, n Network) {
	switch {
	case n.UnsetErr != nil:
		r.addWarn("sysctls", "run it as root", "not checked: %v", n.UnsetErr)
	case len(n.Unset) > 0:
		r.addFail("sysctls", commandText("mount -o remount,rw /proc/sys"),
			"/proc/sys is read-only, and a new network namespace does not have %s: no container can start unless its engine "+
				"sets them", strings.Join(n.Unset, ", "))
	}
}

// judgeEnforced reports the kinds of violation of which frames are dropped; without any there is no
// line.
func judgeEnforced(r *report, n Network) {
	if len(n.Enforce) > 0 {
		r.addPass("enforces", "frames of %s are dropped", joinKinds(n.Enforce))
	}
}

func joinKinds(all []specs.Kind) string {
	texts := make([]string, len(all))
	for i, k := range all {
		texts[i] = string(k)
	}
	return strings.Join(texts, ", ")
}

// judgeSubnet checks for addresses that conflict with a network's own.
func judgeSubnet(r *report, n Network, s specs.Subnet) {
	check := "IPv4"
	if s.Subnet.Addr().Is6() {
		check = "IPv6"
	}
	if s.Gateway.IsValid() && slices.Contains(n.Parent.Addresses, s.Gateway) {
		r.addFail(check, "set gateway to the router of the LAN; to reach the host "+
			"itself: "+commandText("berth host enable %s", n.Name)+"",
			"the gateway %s is an address of %s, which its containers cannot reach", s.Gateway, n.Parent.Found.Name)
		return
	}
	if n.Clustered() {
		judgeShared(r, n, s)
		return
	}
	if n.IPAM != specs.IPAMLocal {
		r.addPass(check, "%s, ipam = %q", s.Subnet, n.IPAM)
		return
	}
	given := rangeOf(s)
	judgePool(r, check, n, s, given)
	var inside []string
	for _, a := range n.Host {
		if given.Contains(a.Unmap().WithZone("")) {
			inside = append(inside, a.String())
		}
	}
	if len(inside) > 0 && s.IPRange.IsValid() {
		r.addWarn(check, "choose an ip_range without them, so that two hosts never hand out the same address",
			"this host has %[2]s, which is in the range %[1]s; berth never hands it out", given, strings.Join(inside, ", "))
	}
}

// few is the fraction of a pool, one in so many, below which a warning is given.
const few = 10

// judgePool reports the number of free addresses of a subnet.
func judgePool(r *report, check string, n Network, s specs.Subnet, given netip.Prefix) {
	const remedy = "widen ip_range or add a subnet; this lists the containers that hold addresses: `berth ps`"
	size, left := poolRoom(n, s)
	switch {
	case size > 1<<32:
		r.addPass(check, "%s has more addresses than can be used", given)
	case size == 0 && hasRoomElsewhere(n, s):
		r.addWarn(check, remedy, "%s has no address to give out: all are reserved or excluded; another subnet of the "+
			"network has free ones", given)
	case size == 0:
		r.addFail(check, remedy, "%s has no address to give out: all are reserved or excluded; only a container that "+
			"requests an address can start", given)
	case left == 0 && hasRoomElsewhere(n, s):
		r.addWarn(check, remedy, "%s has %d addresses, all held; another subnet of the network has free ones", given, size)
	case left == 0:
		r.addFail(check, remedy, "%s has %d addresses, all held: no container can start", given, size)
	case left < size/few:
		r.addWarn(check, remedy, "%s has %d addresses, %d of them left", given, size, left)
	case s.IPRange.IsValid():
		r.addPass(check, "%s has %d addresses, %d of them left", given, size, left)
	default:
		r.addPass(check, "%s, the whole subnet, has %d addresses, %d of them left; no DHCP server may hand them out",
			given, size, left)
	}
}

// poolRoom returns the number of addresses that a subnet can lease, and of those that are free.
func poolRoom(n Network, s specs.Subnet) (size, left uint64) {
	pool := ipam.PoolOf(n.Network, s, n.Host)
	size = pool.Size()
	given := rangeOf(s)
	left = size
	for _, l := range n.Held {
		if left > 0 && given.Contains(l.Addr) {
			left--
		}
	}
	for _, f := range n.Foreign {
		isLeased := slices.ContainsFunc(n.Held, func(l lease.Lease) bool { return l.Addr == f.Addr })
		if left > 0 && pool.GivesOut(f.Addr) && !isLeased {
			left--
		}
	}
	return size, left
}

// hasRoomElsewhere reports whether another subnet of the family has a free address.
func hasRoomElsewhere(n Network, full specs.Subnet) bool {
	return slices.ContainsFunc(n.Subnets, func(s specs.Subnet) bool {
		_, left := poolRoom(n, s)
		return left > 0 && s.Subnet.Addr().Is4() == full.Subnet.Addr().Is4()
	})
}

// rangeOf returns the addresses for containers that request none.
func rangeOf(s specs.Subnet) netip.Prefix {
	if s.IPRange.IsValid() {
		return s.IPRange.Masked()
	}
	return s.Subnet.Masked()
}
