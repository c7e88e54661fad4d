package dhcp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"berth/internal/text"
	"berth/specs"
)

// allServers is the group All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
var allServers = netip.MustParseAddr("ff02::1:2")

func (c *Client6) send(now time.Duration, t dhcpv6.MessageType, server *Lease, addr netip.Addr) Action {
	m := &dhcpv6.Message{MessageType: t, TransactionID: c.xid}
	m.AddOption(dhcpv6.OptClientID(c.duid))
	if server != nil {
		raw, _ := hex.DecodeString(server.ServerID) // of a reply, or a record that is checked when read
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: raw})
	}
	m.AddOption(dhcpv6.OptElapsedTime(min(0xffff*10*time.Millisecond, max(0, now-c.began))))
	if t != dhcpv6.MessageTypeInformationRequest {
		m.AddOption(c.identity(addr))
	}
	switch t {
	case dhcpv6.MessageTypeDecline, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeConfirm:
	default:
		m.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList,
			dhcpv6.OptionNTPServer))
		if c.cfg.Hostname != "" && t != dhcpv6.MessageTypeInformationRequest {
			m.AddOption(&dhcpv6.OptFQDN{Flags: updateDNS, DomainName: &rfc1035label.Labels{Labels: []string{c.cfg.Hostname}}})
		}
	}
	c.counts[typeName6(t)]++
	return Action{Kind: Send, Type: typeName6(t), Payload: m.ToBytes(), From: c.source(), To: allServers}
}

func (c *Client6) source() netip.Addr {
	if c.cfg.From.IsValid() {
		return c.cfg.From
	}
	return c.cfg.MAC.LinkLocal()
}

func typeName6(t dhcpv6.MessageType) string { return strings.ToLower(t.String()) }

// updateDNS is the flag S of option 39: the server updates the AAAA record (RFC 4704
// section 4.1).
const updateDNS = 1

func (c *Client6) identity(addr netip.Addr) dhcpv6.Option {
	ia := &dhcpv6.OptIANA{IaId: c.cfg.IAID}
	if addr.Is6() {
		ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: addr.AsSlice()})
	}
	return ia
}

// leaseOf returns the lease of an Advertise or Reply, or the reason for refusing it.
func (c *Client6) leaseOf(m *dhcpv6.Message, p Packet) (*Lease, error) {
	if s := m.Options.Status(); s != nil && s.StatusCode != iana.StatusSuccess {
		return nil, statusError(s)
	}
	l := c.optionsOf(m, p)
	for _, ia := range m.Options.IANA() {
		if ia.IaId != c.cfg.IAID {
			continue
		}
		if s := ia.Options.Status(); s != nil && s.StatusCode != iana.StatusSuccess {
			return nil, statusError(s)
		}
		return l, c.setAddress(l, ia)
	}
	return nil, errors.New("it has no address (IA_NA) for this client")
}

func statusError(s *dhcpv6.OptStatusCode) error {
	said := text.Printable(strings.ToValidUTF8(s.StatusMessage[:min(len(s.StatusMessage), 80)], ""))
	if said == "" {
		return errors.New(s.StatusCode.String())
	}
	return fmt.Errorf("%s: %q", s.StatusCode, said)
}

// setAddress sets the address and the lifetimes of the first usable address.
func (c *Client6) setAddress(l *Lease, ia *dhcpv6.OptIANA) error {
	err := errors.New("it has no address (IA_NA) for this client")
	for _, a := range ia.Options.Addresses() {
		addr, _ := netip.AddrFromSlice(a.IPv6Addr)
		valid, preferred := secondsOf(a.ValidLifetime), secondsOf(a.PreferredLifetime)
		switch {
		case !addr.Is6() || addr.Is4In6() || !specs.IsUnicast(addr) || addr.IsLinkLocalUnicast():
			err = fmt.Errorf("no host can have the address %s", addr)
		case valid == 0 || preferred > valid:
			err = fmt.Errorf("the lifetimes of %s are %d s (preferred) and %d s (valid)", addr, preferred, valid)
		case c.cfg.Foreign != nil && c.cfg.Foreign(addr) != "":
			err = fmt.Errorf("%s: %s", addr, c.cfg.Foreign(addr))
		default:
			l.Address, l.Lifetime, l.Preferred = netip.PrefixFrom(addr, addr.BitLen()), valid, preferred
			l.setTimes6(secondsOf(ia.T1), secondsOf(ia.T2))
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

// secondsOf reverses the codec, which multiplies by a second.
func secondsOf(d time.Duration) specs.Seconds { return specs.Seconds(d / time.Second) }

// optionsOf returns a lease without an address, with everything else of a message.
func (c *Client6) optionsOf(m *dhcpv6.Message, p Packet) *Lease {
	l := &Lease{DHCPLease: specs.DHCPLease{
		Server: p.From, ServerMAC: p.MAC, ClientID: hex.EncodeToString(c.cfg.DUID), Hostname: c.cfg.Hostname,
	}}
	l.ServerID, _ = serverID(m)
	l.DNS, l.NTP = usable6(m.Options.DNS()), usable6(m.Options.NTPServers())
	if search := m.Options.DomainSearchList(); search != nil {
		l.Search = domainsOf(search.Labels...)
	}
	return l
}

func serverID(m *dhcpv6.Message) (string, bool) {
	id := m.Options.ServerID()
	if id == nil {
		return "", false
	}
	return hex.EncodeToString(id.ToBytes()), true
}

func usable6(ips []net.IP) (all []netip.Addr) {
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip); ok && a.Is6() && specs.IsUnicast(a) && len(all) < maxServers {
			all = append(all, a)
		}
	}
	return all
}

// statusOf returns the status of the client's IA, or of the whole message.
func statusOf(m *dhcpv6.Message, iaid [4]byte) iana.StatusCode {
	for _, ia := range m.Options.IANA() {
		if s := ia.Options.Status(); ia.IaId == iaid && s != nil {
			return s.StatusCode
		}
	}
	if s := m.Options.Status(); s != nil {
		return s.StatusCode
	}
	return iana.StatusSuccess
}

// ended reports whether a reply gives an address the valid lifetime 0.
func ended(m *dhcpv6.Message, iaid [4]byte, addr netip.Addr) bool {
	for _, ia := range m.Options.IANA() {
		for _, a := range ia.Options.Addresses() {
			if got, _ := netip.AddrFromSlice(a.IPv6Addr); ia.IaId == iaid && got == addr && a.ValidLifetime == 0 {
				return true
			}
		}
	}
	return false
}
