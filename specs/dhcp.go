package specs

import (
	"net/netip"
	"time"
)

// DHCPLease is an address that a DHCP server has leased to an interface.
type DHCPLease struct {
	Address   netip.Prefix `json:"address"`
	Server    netip.Addr   `json:"server"`              // IPv4: option 54; IPv6: the server's or relay's link-local address
	ServerMAC MAC          `json:"server_mac,omitzero"` // sender of the last reply: the server's, or a relay's or router's
	ServerID  string       `json:"server_id,omitempty"` // IPv6: the server's DUID in hexadecimal
	ClientID  string       `json:"client_id"`           // option 61, or the client's DUID, in hexadecimal
	Hostname  string       `json:"hostname,omitempty"`  // the name that was sent along
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
