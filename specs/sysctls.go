package specs

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Sysctls are settings of an interface under the kernel's names, with IFNAME in the place of the
// interface's name, as net.ipv6.conf.IFNAME.hop_limit.
type Sysctls map[string]int

// sysctlIFNAME stands for the name of the interface, as docker and CNI's tuning plugin write it.
const sysctlIFNAME = "IFNAME"

// bounds are the lowest and the highest value of a setting.
type bounds struct{ min, max int }

var (
	onOff   = bounds{0, 1}
	tries   = bounds{0, 100}
	seconds = bounds{1, 1<<31 - 1}
)

// permittedSysctls returns the settings that a network may have, by directory below /proc/sys/net. They
// concern one interface and how it receives. Settings by which a container would answer for the
// addresses of others (proxy_arp, proxy_ndp), and those that berth writes, are not among them.
func permittedSysctls() map[string]map[string]bounds {
	return map[string]map[string]bounds{
		"ipv4.conf": {
			"accept_local": onOff, "accept_redirects": onOff, "arp_accept": {0, 2}, "arp_announce": {0, 2},
			"arp_evict_nocarrier": onOff, "arp_filter": onOff, "arp_ignore": {0, 8},
			"drop_gratuitous_arp": onOff, "drop_unicast_in_l2_multicast": onOff,
			"force_igmp_version": {0, 3}, "forwarding": onOff, "ignore_routes_with_linkdown": onOff,
			"log_martians": onOff, "route_localnet": onOff, "rp_filter": {0, 2}, "secure_redirects": onOff,
			"send_redirects": onOff, "shared_media": onOff, "src_valid_mark": onOff,
		},
		"ipv6.conf": {
			"accept_ra_from_local": onOff, "accept_ra_min_hop_limit": {0, 255}, "accept_ra_mtu": onOff,
			"accept_ra_rt_info_max_plen": {0, 128}, "accept_ra_rt_info_min_plen": {0, 128},
			"accept_ra_rtr_pref": onOff, "accept_redirects": onOff, "dad_transmits": {0, 10},
			"drop_unicast_in_l2_multicast": onOff, "drop_unsolicited_na": onOff,
			"force_mld_version": {0, 2}, "forwarding": onOff, "hop_limit": {1, 255},
			"keep_addr_on_down": {-1, 1}, "max_addresses": {1, 65535}, "optimistic_dad": onOff,
			"router_probe_interval": {1, 3600}, "router_solicitation_interval": {1, 3600},
			"router_solicitations": {1, 255}, "suppress_frag_ndisc": onOff, "temp_prefered_lft": seconds,
			"temp_valid_lft": seconds, "use_optimistic": onOff, "use_tempaddr": {-1, 2},
		},
		"ipv4.neigh": neighbourSysctls(),
		"ipv6.neigh": neighbourSysctls(),
	}
}

func neighbourSysctls() map[string]bounds {
	return map[string]bounds{
		"app_solicit": tries, "base_reachable_time_ms": {1000, 1<<31 - 1},
		"delay_first_probe_time": {1, 3600}, "gc_stale_time": seconds, "mcast_resolicit": tries,
		"mcast_solicit": tries, "retrans_time_ms": {10, 1<<31 - 1}, "ucast_solicit": tries,
		"unres_qlen_bytes": {0, 1 << 24},
	}
}

// ownSysctls returns the settings that berth writes, each with the key of a network's file that
// determines it.
func ownSysctls() map[string]string {
	return map[string]string{
		"accept_ra": "ipv6", "accept_ra_defrtr": "default_route", "autoconf": "ipv6", "disable_ipv6": "ipv6", "mtu": "mtu",
	}
}

// SplitSysctl splits "net.ipv6.conf.IFNAME.hop_limit" into "ipv6.conf" and "hop_limit".
func SplitSysctl(key string) (dir, name string, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 5 || parts[0] != "net" || parts[3] != sysctlIFNAME {
		return "", "", false
	}
	return parts[1] + "." + parts[2], parts[4], true
}

func (n *Network) checkSysctls() error {
	for _, key := range slices.Sorted(maps.Keys(n.Sysctls)) {
		if err := n.checkSysctl(key, n.Sysctls[key]); err != nil {
			return At("sysctls", err)
		}
	}
	return nil
}

func (n *Network) checkSysctl(key string, value int) error {
	dir, name, ok := SplitSysctl(key)
	if !ok {
		return Invalid("", key, "a setting of the interface, as net.ipv6.conf.IFNAME.hop_limit, in quotes and with the "+
			"word IFNAME")
	}
	within, ok := permittedSysctls()[dir][name]
	switch by := ownSysctls()[name]; {
	case !ok && strings.HasSuffix(dir, ".conf") && by != "":
		return Unusable("", key, "berth writes this setting; set the key %s of the network", by)
	case !ok:
		return Invalid("", key, "one of the settings that specs/networks.md lists")
	case value < within.min || value > within.max:
		return Invalid(key, strconv.Itoa(value), "a number from %d to %d", within.min, within.max)
	case !strings.HasPrefix(dir, "ipv6."):
		return nil
	case n.IPv6 == IPv6Off && !n.HasIPv6():
		return Unusable("", key, "the network has no IPv6; add an IPv6 subnet, or set ipv6")
	case isOfRouters(name) && n.IPv6 != IPv6SLAAC && n.IPv6 != IPv6DHCP:
		return Unusable("", key, "the network ignores router advertisements; set ipv6 = \"slaac\"")
	}
	return nil
}

// isOfRouters reports whether a setting applies to router advertisements.
func isOfRouters(name string) bool {
	return strings.HasPrefix(name, "accept_ra_") || strings.HasPrefix(name, "router_")
}

// setSysctls parses NAME=NUMBER[,NAME=NUMBER...].
func (n *Network) setSysctls(text string) error {
	n.Sysctls = make(Sysctls)
	for item := range strings.SplitSeq(text, ",") {
		key, number, _ := strings.Cut(strings.TrimSpace(item), "=")
		value, err := strconv.Atoi(number)
		if err != nil {
			return Invalid("", item, "NAME=NUMBER, as net.ipv6.conf.IFNAME.hop_limit=255")
		}
		n.Sysctls[key] = value
	}
	return nil
}
