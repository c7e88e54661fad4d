package specs

import (
	"net/netip"
	"strings"
	"time"
)

// Network defines the interfaces that containers get on one LAN: the content of
// CONFIG/networks.d/NAME.toml. JSON has the same keys. The zero value of a
// field means its default; see [Network.SetDefaults].
type Network struct {
	Name   string `toml:"-" json:"name,omitempty"` // the file's name; "" if defined in place
	Driver Driver `toml:"driver" json:"driver"`
	Parent string `toml:"parent" json:"parent"` // "eth1", or "eth1.100" for a VLAN of it
	Mode   Mode   `toml:"mode" json:"mode"`
	MTU    int    `toml:"mtu,omitempty" json:"mtu"` // bytes; 0 for the parent's

	ParentTimeout Duration `toml:"parent_timeout,omitempty" json:"parent_timeout,omitempty"` // 0 for no wait
	Heal          *bool    `toml:"heal,omitempty" json:"heal,omitempty"`                     // see Heals; true if not set

	IPvlanFlag IPvlanFlag `toml:"ipvlan_flag,omitempty" json:"ipvlan_flag,omitempty"`
	BCQueueLen uint32     `toml:"bc_queue_len,omitempty" json:"bc_queue_len,omitempty"` // frames; 0 for the kernel's 1000
	NoPromisc  bool       `toml:"nopromisc,omitempty" json:"nopromisc,omitempty"`       // passthru only
	SourceMACs []MAC      `toml:"source_macs,omitempty" json:"source_macs,omitempty"`   // source mode only
	MAC        MACPolicy  `toml:"mac,omitempty" json:"mac,omitempty"`

	DefaultRoute *bool   `toml:"default_route,omitempty" json:"default_route,omitempty"`
	Metric       int     `toml:"metric,omitempty" json:"metric,omitempty"` // of the default route; 0 for the kernel's
	Routes       []Route `toml:"route,omitempty" json:"route,omitempty"`

	IPAM            IPAM       `toml:"ipam" json:"ipam"`
	ConflictTimeout *Duration  `toml:"conflict_timeout,omitempty" json:"conflict_timeout,omitempty"`
	IPv6            IPv6       `toml:"ipv6" json:"ipv6"`
	IPv6Token       netip.Addr `toml:"ipv6_token,omitzero" json:"ipv6_token,omitzero"` // interface identifier of SLAAC
	Sticky          bool       `toml:"sticky,omitempty" json:"sticky,omitempty"`
	Reuse           Reuse      `toml:"reuse,omitempty" json:"reuse,omitempty"` // lowest if not set

	Domain       string    `toml:"domain,omitempty" json:"domain,omitempty"` // these four only with ipam = "cluster"
	Block        int       `toml:"block,omitempty" json:"block,omitempty"`
	KeepFree     *int      `toml:"keep_free,omitempty" json:"keep_free,omitempty"`
	ReclaimAfter *Duration `toml:"reclaim_after,omitempty" json:"reclaim_after,omitempty"` // never if not set

	DHCPTimeout  *Duration    `toml:"dhcp_timeout,omitempty" json:"dhcp_timeout,omitempty"` // these four only with DHCP
	DHCPClientID DHCPClientID `toml:"dhcp_client_id,omitempty" json:"dhcp_client_id,omitempty"`
	DHCPHostname DHCPHostname `toml:"dhcp_hostname,omitempty" json:"dhcp_hostname,omitempty"`
	DHCPRelease  *bool        `toml:"dhcp_release,omitempty" json:"dhcp_release,omitempty"`

	Sysctls Sysctls `toml:"sysctls,omitempty" json:"sysctls,omitempty"`

	Subnets []Subnet `toml:"subnet,omitempty" json:"subnet,omitempty"`

	// Kubernetes namespaces, as globs; all if empty
	Namespaces []string `toml:"namespaces,omitempty" json:"namespaces,omitempty"`

	Enforce []Kind `toml:"enforce,omitempty" json:"enforce,omitempty"` // violations whose frames are dropped
	// permitted behaviours that otherwise are violations
	Allow []Allowance `toml:"allow,omitempty" json:"allow,omitempty"`
}

// Subnet is one range of addresses of a network.
type Subnet struct {
	Subnet  netip.Prefix `toml:"subnet" json:"subnet"`
	Gateway netip.Addr   `toml:"gateway,omitzero" json:"gateway,omitzero"` // without it there is no default route
	// the part from which this host gives out addresses; all if not set
	IPRange netip.Prefix `toml:"ip_range,omitzero" json:"ip_range,omitzero"`
	Exclude []Exclusion  `toml:"exclude,omitempty" json:"exclude,omitempty"` // never given out
}

// Route is a static route through the network's interface.
type Route struct {
	To     netip.Prefix `toml:"to" json:"to"`
	Via    netip.Addr   `toml:"via,omitzero" json:"via,omitzero"` // on link if not set
	Metric int          `toml:"metric,omitempty" json:"metric,omitempty"`
}

// IPAM is the source of the addresses of a network.
type IPAM string

// The sources of addresses.
const (
	IPAMLocal   IPAM = "local"   // this host's pools, the subnets' ranges
	IPAMCluster IPAM = "cluster" // a pool that nodes share: this host's blocks of the subnet's range
	IPAMStatic  IPAM = "static"  // a request by each container, inside the subnets
	IPAMDHCP    IPAM = "dhcp"    // IPv4 from the LAN's own DHCP server; an IPv6 subnet is a pool
	IPAMNone    IPAM = "none"    // no addresses
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *IPAM) UnmarshalText(text []byte) error {
	return oneOf(i, text, IPAMLocal, IPAMCluster, IPAMStatic, IPAMDHCP, IPAMNone)
}

// IPv6 is the use of IPv6 on an interface if the network has no IPv6 subnet.
type IPv6 string

// The uses of IPv6 without a subnet.
const (
	IPv6Off       IPv6 = "off"        // no IPv6 at all
	IPv6LinkLocal IPv6 = "link-local" // a link-local address only
	IPv6SLAAC     IPv6 = "slaac"      // addresses and routes from router advertisements (RFC 4862)
	IPv6DHCP      IPv6 = "dhcp"       // an address by DHCPv6, in addition to slaac
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *IPv6) UnmarshalText(text []byte) error {
	return oneOf(v, text, IPv6Off, IPv6LinkLocal, IPv6SLAAC, IPv6DHCP)
}

// Reuse is the order in which a pool gives out its free addresses.
type Reuse string

// The orders of free addresses.
const (
	ReuseLowest Reuse = "lowest" // the lowest first
	ReuseOldest Reuse = "oldest" // those without a known release first, then the least recently released
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Reuse) UnmarshalText(text []byte) error {
	return oneOf(r, text, ReuseLowest, ReuseOldest)
}

// MACPolicy determines the MAC of an interface if no MAC was requested.
type MACPolicy string

// The policies for MACs.
const (
	MACRandom  MACPolicy = "random"  // a new locally administered one each time
	MACDerived MACPolicy = "derived" // from the container's name and interface: the same each time
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *MACPolicy) UnmarshalText(text []byte) error {
	return oneOf(p, text, MACRandom, MACDerived)
}

// DefaultConflictTimeout is the time for which an address is probed for on the
// LAN before its first use. RFC 5227 section 1.1 waits seconds; berth
// deliberately deviates and sends its probes at 0, 30 and 60 ms.
const DefaultConflictTimeout = 100 * time.Millisecond

// Heals reports whether an interface that vanished with its parent is made again.
func (n *Network) Heals() bool { return n.Heal == nil || *n.Heal }

// SetDefaults sets each unset field to its default, if that is not the field's zero value. It
// leaves two unset: Heal, whose default [Network.Heals] returns, and Reuse, whose default is
// ReuseLowest, because Check permits a set value only on networks with a pool.
func (n *Network) SetDefaults() {
	setDefault(&n.Driver, Macvlan)
	if modes := Modes(n.Driver); len(modes) > 0 {
		setDefault(&n.Mode, modes[0])
	}
	if n.Driver == IPvlan {
		setDefault(&n.IPvlanFlag, FlagBridge)
	}
	setDefault(&n.IPv6, IPv6Off)
	if n.UsesDHCP() {
		n.setDHCPDefaults()
	}
	if n.Clustered() {
		n.setClusterDefaults()
	}
	setDefault(&n.MAC, MACRandom)
	if len(n.Subnets) > 0 {
		setDefault(&n.IPAM, IPAMLocal)
	}
	setDefault(&n.IPAM, IPAMNone)
	if n.DefaultRoute == nil {
		n.DefaultRoute = new(true)
	}
	if n.ConflictTimeout == nil {
		n.ConflictTimeout = new(Duration(DefaultConflictTimeout))
	}
}

func setDefault[T comparable](to *T, value T) {
	if *to == *new(T) {
		*to = value
	}
}

// maxNetworkName is the longest name of a network, in bytes.
const maxNetworkName = 64

// CheckNetworkName checks that a name can be a file, an annotation and a metric
// label. The permitted characters are docker's, so that a network can keep its
// name.
func CheckNetworkName(name string) error {
	if name == "" || len(name) > maxNetworkName || strings.ContainsRune("_.-", rune(name[0])) ||
		strings.ContainsFunc(name, badInNetworkName) {
		return Invalid("", name, "1 to %d letters, digits, '_', '.' or '-', the first a letter or digit", maxNetworkName)
	}
	return nil
}

func badInNetworkName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '.', r == '-':
		return false
	}
	return true
}
