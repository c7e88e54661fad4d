package dhcp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"berth/dhcp/wire"
	"berth/internal/text"
	"berth/specs"
)

// allServers is the group All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
var allServers = netip.MustParseAddr("ff02::1:2")

// LinkLocal returns the link-local address of a MAC, the modified EUI-64 (RFC 4291
// appendix A), as the kernel makes it with addr_gen_mode 0.
func LinkLocal(mac specs.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe,
		13: mac[3], 14: mac[4], 15: mac[5]})
}

func (c *Client6) send(now time.Duration, t wire.Type6, server *Lease, addr netip.Addr) Action {
	elapsed := max(0, now-c.began).Round(10*time.Millisecond) / (10 * time.Millisecond)
	m := &wire.Message6{Type: t, XID: c.xid, Client: c.cfg.DUID, Elapsed: uint16(min(0xffff, elapsed))}
	if server != nil {
		m.Server, _ = hex.DecodeString(server.ServerID) // of a reply, or a record that is checked when read
	}
	if t != wire.InformationRequest {
		m.Identities = []wire.Identity{c.identity(addr)}
	}
	switch t {
	case wire.Decline6, wire.Release6, wire.Confirm:
	default:
		m.Requested = []uint16{wire.DNS6, wire.DomainSearch6, wire.NTP6}
		if t != wire.InformationRequest {
			m.FQDN, m.FQDNFlags = c.cfg.Hostname, updateDNS
		}
	}
	c.counts[t.String()]++
	return Action{Kind: Send, Type: t.String(), Payload: m.Bytes(), From: c.source(), To: allServers}
}

func (c *Client6) source() netip.Addr {
	if c.cfg.From.IsValid() {
		return c.cfg.From
	}
	return LinkLocal(c.cfg.MAC)
}

// updateDNS is the flag S of option 39: the server updates the AAAA record (RFC 4704
// section 4.1).
const updateDNS = 1

func (c *Client6) identity(addr netip.Addr) wire.Identity {
	ia := wire.Identity{ID: c.cfg.IAID}
	if addr.Is6() {
		ia.Addresses = []wire.Address6{{Addr: addr}}
	}
	return ia
}

// leaseOf returns the lease of an Advertise or Reply, or the reason for refusing it.
func (c *Client6) leaseOf(m *wire.Message6, p Packet) (*Lease, error) {
	if s := m.Status; s != nil && s.Code != wire.Success {
		return nil, statusError(s)
	}
	l := c.optionsOf(m, p)
	for i := range m.Identities {
		ia := &m.Identities[i]
		if ia.ID != c.cfg.IAID {
			continue
		}
		if s := ia.Status; s != nil && s.Code != wire.Success {
			return nil, statusError(s)
		}
		return l, c.setAddress(l, ia)
	}
	return nil, errors.New("it has no address (IA_NA) for this client")
}

func statusError(s *wire.Status) error {
	said := text.Printable(strings.ToValidUTF8(s.Said[:min(len(s.Said), 80)], ""))
	if said == "" {
		return errors.New(s.Code.String())
	}
	return fmt.Errorf("%s: %q", s.Code, said)
}

// setAddress sets the address and the lifetimes of the first usable address.
func (c *Client6) setAddress(l *Lease, ia *wire.Identity) error {
	err := errors.New("it has no address (IA_NA) for this client")
	for _, a := range ia.Addresses {
		addr, valid, preferred := a.Addr, specs.Seconds(a.Valid), specs.Seconds(a.Preferred)
		switch {
		case addr.Is4In6() || !specs.IsUnicast(addr) || addr.IsLinkLocalUnicast():
			err = fmt.Errorf("no host can have the address %s", addr)
		case valid == 0 || preferred > valid:
			err = fmt.Errorf("the lifetimes of %s are %d s (preferred) and %d s (valid)", addr, preferred, valid)
		case c.cfg.Foreign != nil && c.cfg.Foreign(addr) != "":
			err = fmt.Errorf("%s: %s", addr, c.cfg.Foreign(addr))
		default:
			l.Address, l.Lifetime, l.Preferred = netip.PrefixFrom(addr, addr.BitLen()), valid, preferred
			l.setTimes6(specs.Seconds(ia.T1), specs.Seconds(ia.T2))
			return nil
		}
	}
	return err
}

// setTimes6 sets T1 and T2: the server's if 0 < T1 <= T2 <= valid lifetime, else 0.5
// and 0.8 of the preferred lifetime (RFC 8415 section 21.4), or of the valid one if
// the address is deprecated.
func (l *Lease) setTimes6(t1, t2 specs.Seconds) {
	base := l.Preferred
	if base == 0 {
		base = l.Lifetime
	}
	switch {
	case t1 != 0 && t1 <= t2 && t2 <= l.Lifetime:
		l.T1, l.T2 = t1, t2
	case base == specs.Forever:
		l.T1, l.T2 = specs.Forever, specs.Forever
	default:
		l.T1, l.T2 = base/2, specs.Seconds(uint64(base)*4/5)
	}
}

// optionsOf returns a lease without an address, with everything else of a message.
func (c *Client6) optionsOf(m *wire.Message6, p Packet) *Lease {
	return &Lease{DHCPLease: specs.DHCPLease{
		Server: p.From, ServerMAC: p.MAC, ClientID: hex.EncodeToString(c.cfg.DUID), Hostname: c.cfg.Hostname,
		ServerID: hex.EncodeToString(m.Server), DNS: usable6(m.DNS), NTP: usable6(m.NTP), Search: domainsOf(m.Search...),
	}}
}

func usable6(addrs []netip.Addr) (all []netip.Addr) {
	for _, a := range addrs {
		if specs.IsUnicast(a) && len(all) < maxServers {
			all = append(all, a)
		}
	}
	return all
}

// statusOf returns the status of the client's IA, or of the whole message.
func statusOf(m *wire.Message6, iaid [4]byte) wire.Code {
	for _, ia := range m.Identities {
		if ia.ID == iaid && ia.Status != nil {
			return ia.Status.Code
		}
	}
	if m.Status != nil {
		return m.Status.Code
	}
	return wire.Success
}

// ended reports whether a reply gives an address the valid lifetime 0.
func ended(m *wire.Message6, iaid [4]byte, addr netip.Addr) bool {
	for _, ia := range m.Identities {
		for _, a := range ia.Addresses {
			if ia.ID == iaid && a.Addr == addr && a.Valid == 0 {
				return true
			}
		}
	}
	return false
}
