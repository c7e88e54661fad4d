package specs

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// SetOption sets one key of a network from the text of `-o NAME=VALUE`.
// Names are the file's keys, and docker's macvlan_mode and ipvlan_mode for
// mode, and com.docker.network.driver.mtu for mtu. Two options that set mode or mtu to different
// values are an error. Lists are separated by commas.
func (n *Network) SetOption(name, value string) error {
	set, ok := options()[name]
	if !ok {
		return Invalid("-o", name, "one of %s", strings.Join(slices.Sorted(maps.Keys(options())), ", "))
	}
	before := *n
	if err := set(n, value); err != nil {
		return At("-o "+name, err)
	}
	if before.Mode != "" && before.Mode != n.Mode {
		return Unusable("-o "+name, value, "another option sets mode to %s; give one of mode, "+
			"macvlan_mode and ipvlan_mode", before.Mode)
	}
	if before.MTU != 0 && before.MTU != n.MTU {
		return Unusable("-o "+name, value, "another option sets mtu to %d; give one of mtu and %s", before.MTU, dockerMTU)
	}
	return nil
}

// dockerMTU is the name for mtu that docker's drivers share (netlabel.DriverMTU
// in libnetwork).
const dockerMTU = "com.docker.network.driver.mtu"

// options returns the setters of a network by their names.
func options() map[string]func(*Network, string) error {
	all := map[string]func(*Network, string) error{
		"parent":         func(n *Network, v string) error { n.Parent = v; return nil },
		"parent_timeout": func(n *Network, v string) error { return setText(&n.ParentTimeout, v) },
		"heal":           func(n *Network, v string) error { n.Heal = new(bool); return setBool(n.Heal, v) },
		"mode":           func(n *Network, v string) error { return setText(&n.Mode, v) },
		"macvlan_mode":   modeOf(Macvlan),
		"ipvlan_mode":    modeOf(IPvlan),
		"ipvlan_flag":    func(n *Network, v string) error { return setText(&n.IPvlanFlag, v) },
		"mtu":            func(n *Network, v string) error { return setInt(&n.MTU, v) },
		dockerMTU:        func(n *Network, v string) error { return setInt(&n.MTU, v) },
		"bc_queue_len":   func(n *Network, v string) error { return setInt(&n.BCQueueLen, v) },
		"nopromisc":      func(n *Network, v string) error { return setBool(&n.NoPromisc, v) },
		"source_macs":    func(n *Network, v string) error { return setList(&n.SourceMACs, v) },
		"mac":            func(n *Network, v string) error { return setText(&n.MAC, v) },
		"default_route":  func(n *Network, v string) error { n.DefaultRoute = new(bool); return setBool(n.DefaultRoute, v) },
		"metric":         func(n *Network, v string) error { return setInt(&n.Metric, v) },
		"route":          setRoutes,
	}
	maps.Copy(all, addressOptions())
	return all
}

// addressOptions returns the options on addresses, and on what a container may do with them.
func addressOptions() map[string]func(*Network, string) error {
	return map[string]func(*Network, string) error{
		"ipam": func(n *Network, v string) error { return setText(&n.IPAM, v) },
		"conflict_timeout": func(n *Network, v string) error {
			n.ConflictTimeout = new(Duration)
			return setText(n.ConflictTimeout, v)
		},
		"ipv6":       func(n *Network, v string) error { return setText(&n.IPv6, v) },
		"ipv6_token": func(n *Network, v string) error { return setText(&n.IPv6Token, v) },
		"dhcp_timeout": func(n *Network, v string) error {
			n.DHCPTimeout = new(Duration)
			return setText(n.DHCPTimeout, v)
		},
		"dhcp_client_id": func(n *Network, v string) error { return setText(&n.DHCPClientID, v) },
		"dhcp_hostname":  func(n *Network, v string) error { return setText(&n.DHCPHostname, v) },
		"dhcp_release":   func(n *Network, v string) error { n.DHCPRelease = new(bool); return setBool(n.DHCPRelease, v) },
		"sysctls":        func(n *Network, v string) error { return n.setSysctls(v) },
		"sticky":         func(n *Network, v string) error { return setBool(&n.Sticky, v) },
		"reuse":          func(n *Network, v string) error { return setText(&n.Reuse, v) },
		"domain":         func(n *Network, v string) error { n.Domain = v; return nil },
		"block":          func(n *Network, v string) error { return setInt(&n.Block, v) },
		"keep_free":      func(n *Network, v string) error { n.KeepFree = new(int); return setInt(n.KeepFree, v) },
		"reclaim_after": func(n *Network, v string) error {
			n.ReclaimAfter = new(Duration)
			return setText(n.ReclaimAfter, v)
		},
		"namespaces": func(n *Network, v string) error { n.Namespaces = strings.Split(v, ","); return nil },
		"enforce":    func(n *Network, v string) error { setWords(&n.Enforce, v); return nil },
		"allow":      func(n *Network, v string) error { setWords(&n.Allow, v); return nil },
	}
}

func modeOf(d Driver) func(*Network, string) error {
	return func(n *Network, v string) error {
		if n.Driver != "" && n.Driver != d {
			return Unusable("", v, "driver %s does not have this option; set -d %s", n.Driver, d)
		}
		return oneOf(&n.Mode, []byte(v), Modes(d)...)
	}
}

func setText[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](to P, value string) error {
	return to.UnmarshalText([]byte(value))
}

func setInt[T ~int | ~uint32](to *T, value string) error {
	v, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return Invalid("", value, "a whole number, 0 to %d", math.MaxInt32)
	}
	*to = T(v)
	return nil
}

func setBool(to *bool, value string) error {
	v, err := strconv.ParseBool(value)
	if err != nil {
		return Invalid("", value, "true or false")
	}
	*to = v
	return nil
}

func setList[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](to *[]T, value string) error {
	for i, item := range strings.Split(value, ",") {
		var v T
		if err := P(&v).UnmarshalText([]byte(strings.TrimSpace(item))); err != nil {
			return At(fmt.Sprintf("[%d]", i), err)
		}
		*to = append(*to, v)
	}
	return nil
}

// setWords sets a list of words; [Network.Check] checks them.
func setWords[T ~string](to *[]T, value string) {
	for word := range strings.SplitSeq(value, ",") {
		*to = append(*to, T(strings.TrimSpace(word)))
	}
}
