package specs

import (
	"net/netip"
	"strconv"
	"time"
)

// DHCPClientID is the kind of identifier by which a DHCP server recognises a
// container.
type DHCPClientID string

// The kinds of identifiers.
const (
	ClientIDMAC  DHCPClientID = "mac"  // the interface's MAC; DHCPv6: as DUID-LL (RFC 8415 section 11.4)
	ClientIDDUID DHCPClientID = "duid" // a UUID of network, container and interface (RFC 4361, RFC 6355)
	ClientIDName DHCPClientID = "name" // the container's name; DHCPv6: as duid
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *DHCPClientID) UnmarshalText(text []byte) error {
	return oneOf(i, text, ClientIDMAC, ClientIDDUID, ClientIDName)
}

// DHCPHostname determines the host name that is sent to a DHCP server.
type DHCPHostname string

// The choices of a host name.
const (
	HostnameName DHCPHostname = "name" // the container's, if it can be a host's
	HostnameNone DHCPHostname = "none"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *DHCPHostname) UnmarshalText(text []byte) error {
	return oneOf(h, text, HostnameName, HostnameNone)
}

// DefaultDHCPTimeout is the time within which a server must lease an address.
const DefaultDHCPTimeout = 10 * time.Second

// Bounds of dhcp_timeout. The upper one is below the hook's own limit of 20 s.
const (
	minDHCPTimeout = 500 * time.Millisecond
	maxDHCPTimeout = 15 * time.Second
)

// UsesDHCP reports whether the network has addresses from DHCP servers.
func (n *Network) UsesDHCP() bool { return n.IPAM == IPAMDHCP || n.IPv6 == IPv6DHCP }

// setDHCPDefaults sets the defaults of a network with DHCP. The MAC is derived, so
// that a container gets the same lease after a restart.
func (n *Network) setDHCPDefaults() {
	id := ClientIDMAC
	if n.Driver == IPvlan {
		id = ClientIDDUID
	} else {
		setDefault(&n.MAC, MACDerived)
	}
	setDefault(&n.DHCPClientID, id)
	setDefault(&n.DHCPHostname, HostnameName)
	if n.DHCPTimeout == nil {
		n.DHCPTimeout = new(Duration(DefaultDHCPTimeout))
	}
	if n.DHCPRelease == nil {
		n.DHCPRelease = new(true)
	}
}

// clearDHCPDefaults clears the keys that have their defaults.
func (n *Network) clearDHCPDefaults() {
	if !n.UsesDHCP() {
		return
	}
	plain := Network{Driver: n.Driver}
	plain.setDHCPDefaults()
	clearDefault(&n.MAC, plain.MAC)
	clearDefault(&n.DHCPClientID, plain.DHCPClientID)
	clearDefault(&n.DHCPHostname, plain.DHCPHostname)
	if *n.DHCPTimeout == *plain.DHCPTimeout {
		n.DHCPTimeout = nil
	}
	if *n.DHCPRelease {
		n.DHCPRelease = nil
	}
}

// checkDHCP checks the keys that begin with dhcp_, and the use of DHCP.
func (n *Network) checkDHCP() error {
	if !n.UsesDHCP() {
		return n.checkNoDHCPKeys()
	}
	timeout := time.Duration(*n.DHCPTimeout)
	key, value := "ipam", string(n.IPAM)
	if n.IPAM != IPAMDHCP {
		key, value = "ipv6", string(n.IPv6)
	}
	switch {
	case n.Mode == ModeL3 || n.Mode == ModeL3S:
		return Unusable(key, value, "interfaces of mode %s receive no broadcasts; set another mode", n.Mode)
	case n.IPAM == IPAMDHCP && n.HasIPv4():
		return Unusable("ipam", string(n.IPAM), "the DHCP server has the IPv4 subnet; remove it here")
	case timeout < minDHCPTimeout || timeout > maxDHCPTimeout:
		return Invalid("dhcp_timeout", n.DHCPTimeout.String(), "%s to %s", minDHCPTimeout, maxDHCPTimeout)
	case *n.ConflictTimeout >= *n.DHCPTimeout:
		return Unusable("conflict_timeout", n.ConflictTimeout.String(),
			"the probe of a leased address must end within dhcp_timeout, %s; set a shorter one", timeout)
	case n.DHCPClientID == ClientIDMAC && n.Driver == IPvlan:
		return Unusable("dhcp_client_id", string(n.DHCPClientID),
			`all ipvlan interfaces of a parent have its MAC; set "duid" or "name"`)
	}
	return nil
}

func (n *Network) checkNoDHCPKeys() error {
	const problem = `the network does not use DHCP; set ipam = "dhcp" or ipv6 = "dhcp"`
	switch {
	case n.DHCPTimeout != nil:
		return Unusable("dhcp_timeout", n.DHCPTimeout.String(), problem)
	case n.DHCPClientID != "":
		return Unusable("dhcp_client_id", string(n.DHCPClientID), problem)
	case n.DHCPHostname != "":
		return Unusable("dhcp_hostname", string(n.DHCPHostname), problem)
	case n.DHCPRelease != nil:
		return Unusable("dhcp_release", strconv.FormatBool(*n.DHCPRelease), problem)
	}
	return nil
}

// DHCPLease is an address that a DHCP server has leased to an interface.
type DHCPLease struct {
	Address netip.Prefix `json:"address"`
	// IPv4: option 54; IPv6: the server's or relay's link-local address
	Server    netip.Addr   `json:"server"`
	ServerMAC MAC          `json:"server_mac,omitzero"` // sender of the last reply: the server's, or a relay's or router's
	ServerID  string       `json:"server_id,omitempty"` // IPv6: the server's DUID in hexadecimal
	ClientID  string       `json:"client_id"`           // option 61, or the client's DUID, in hexadecimal
	Hostname  string       `json:"hostname,omitempty"`  // the host name that was sent to the server
	Obtained  time.Time    `json:"obtained"`            // when the address was leased first
	Renewed   time.Time    `json:"renewed"`             // when the lease was last extended
	Expires   *time.Time   `json:"expires"`             // null if the lease never ends
	Lifetime  Seconds      `json:"lifetime"`            // of the lease, as the server gave it
	Preferred Seconds      `json:"preferred"`           // IPv6; IPv4: as Lifetime
	T1        Seconds      `json:"t1"`                  // after which it is renewed
	T2        Seconds      `json:"t2"`                  // after which any server is asked
	Routers   []netip.Addr `json:"routers,omitempty"`   // option 3
	Routes    []Route      `json:"routes,omitempty"`    // options 121 and 33; a default route has a zero-length prefix
	MTU       int          `json:"mtu,omitempty"`       // option 26, in bytes
	DNS       []netip.Addr `json:"dns,omitempty"`       // options 6 and 23
	Domain    string       `json:"domain,omitempty"`    // option 15
	Search    []string     `json:"search,omitempty"`    // options 119 and 24
	NTP       []netip.Addr `json:"ntp,omitempty"`       // options 42 and 56
}

// DHCPStatus is the lease of one family of an endpoint.
type DHCPStatus struct {
	Family string     `json:"family"`         // "ipv4" or "ipv6"
	Lease  *DHCPLease `json:"lease"`          // null if there is none
	Lost   string     `json:"lost,omitempty"` // why there is none

	// IPv6: the answer of a server if the router's flags are O without M; the Lease is null
	Options *DHCPOptions `json:"options,omitempty"`
}

// DHCPOptions is the answer of a DHCPv6 server to a client that requests no address (RFC 8415
// section 6.1).
type DHCPOptions struct {
	Server netip.Addr   `json:"server"`
	DNS    []netip.Addr `json:"dns,omitempty"`    // option 23
	Search []string     `json:"search,omitempty"` // option 24
	NTP    []netip.Addr `json:"ntp,omitempty"`    // option 56
}

// Seconds is a lifetime in whole seconds, as DHCP counts it.
type Seconds uint32

// Forever is the lifetime of a lease that never ends (RFC 2131 section 3.3, RFC
// 8415 section 7.7).
const Forever Seconds = 0xffffffff

// Duration returns the lifetime, or 0 if it never ends.
func (s Seconds) Duration() time.Duration {
	if s == Forever {
		return 0
	}
	return time.Duration(s) * time.Second
}
