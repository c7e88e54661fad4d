package dhcp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"berth/internal/text"
	"berth/specs"
)

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// maxMessage4 is the size of the largest reply that fits one Ethernet frame (option 57).
const maxMessage4 = 1472

// requested4 returns the options that the client asks for (option 55). The classless
// routes come before the routers (RFC 3442).
func requested4() dhcpv4.Option {
	return dhcpv4.OptParameterRequestList(
		dhcpv4.OptionSubnetMask, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionStaticRoutingTable, dhcpv4.OptionRouter,
		dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName, dhcpv4.OptionDNSDomainSearchList,
		dhcpv4.OptionInterfaceMTU, dhcpv4.OptionBroadcastAddress, dhcpv4.OptionNTPServers,
		dhcpv4.OptionIPAddressLeaseTime, dhcpv4.OptionServerIdentifier, dhcpv4.OptionRenewTimeValue,
		dhcpv4.OptionRebindingTimeValue,
	)
}

// flagBroadcast is the bit of the field flags (RFC 2131, figure 2).
const flagBroadcast = 0x8000

func (c *Client4) message(now time.Duration, t dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, TransactionID: c.xid,
		ClientHWAddr: c.cfg.MAC[:], NumSeconds: uint16(min(0xffff, max(0, now-c.began)/time.Second)),
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{},
	}
	if c.cfg.Broadcast && c.state != Renewing {
		m.Flags = flagBroadcast
	}
	m.UpdateOption(dhcpv4.OptMessageType(t))
	if len(c.cfg.ClientID) > 0 {
		m.UpdateOption(dhcpv4.OptClientIdentifier(c.cfg.ClientID))
	}
	if t == dhcpv4.MessageTypeDiscover || t == dhcpv4.MessageTypeRequest {
		m.UpdateOption(requested4())
		m.UpdateOption(dhcpv4.OptMaxMessageSize(maxMessage4))
		if c.cfg.Hostname != "" {
			m.UpdateOption(dhcpv4.OptHostName(c.cfg.Hostname))
		}
	}
	return m
}

// parse4 decodes a message. It also reads the options in the fields file and
// sname, which the codec does not (option 52, RFC 2132 section 9.3, in the order
// of RFC 3396 section 5).
func parse4(b []byte) (*dhcpv4.DHCPv4, error) {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, err
	}
	const sname, file, end = 44, 108, 236 // RFC 2131, figure 1
	overload := m.GetOneOption(dhcpv4.OptionOptionOverload)
	if len(overload) != 1 {
		return m, nil
	}
	if overload[0]&1 != 0 {
		err = errors.Join(err, m.Options.FromBytes(b[file:end]))
	}
	if overload[0]&2 != 0 {
		err = errors.Join(err, m.Options.FromBytes(b[sname:file]))
	}
	return m, err
}

// isMine reports whether a message is a reply to this client's last one. RFC 6842:
// a server that echoes the client's identifier must echo this one; all clients
// behind one ipvlan parent have the same MAC.
func (c *Client4) isMine(m *dhcpv4.DHCPv4) bool {
	if m.OpCode != dhcpv4.OpcodeBootReply || m.HWType != iana.HWTypeEthernet ||
		m.TransactionID != c.xid || !bytes.Equal(m.ClientHWAddr, c.cfg.MAC[:]) {
		return false
	}
	id := m.GetOneOption(dhcpv4.OptionClientIdentifier)
	return id == nil || bytes.Equal(id, c.cfg.ClientID)
}

// sender returns the identity of a message's server.
func sender(m *dhcpv4.DHCPv4, p Packet) netip.Addr {
	if a := addr4(m.ServerIdentifier()); a.IsValid() {
		return a
	}
	return p.From
}

// said4 returns the server's own explanation (option 56) as the end of a sentence.
func said4(m *dhcpv4.DHCPv4) string {
	said := m.GetOneOption(dhcpv4.OptionMessage)
	if len(said) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", text.Printable(strings.ToValidUTF8(string(said[:min(len(said), 80)]), "")))
}

// leaseOf returns the lease of an OFFER or ACK, or the reason for refusing it. It
// drops values that no host can use and keeps the rest.
func (c *Client4) leaseOf(m *dhcpv4.DHCPv4, p Packet) (*Lease, error) {
	l := &Lease{DHCPLease: specs.DHCPLease{
		Server: addr4(m.ServerIdentifier()), ServerMAC: p.MAC,
		ClientID: hex.EncodeToString(c.cfg.ClientID), Hostname: c.cfg.Hostname,
	}}
	if !isUnicast4(l.Server) {
		return nil, fmt.Errorf("the server's identifier (option 54) is %s, no host's address", m.ServerIdentifier())
	}
	addr := addr4(m.YourIPAddr)
	if !isUnicast4(addr) {
		return nil, errors.New("no host can have that address")
	}
	bits, err := maskOf(m, addr)
	if err != nil {
		return nil, err
	}
	l.Address = netip.PrefixFrom(addr, bits)
	subnet := specs.Subnet{Subnet: l.Address.Masked()}
	if subnet.Reserved(addr) {
		return nil, fmt.Errorf("it is the network's own or the broadcast address of %s", subnet.Subnet)
	}
	if addr == l.Server {
		return nil, errors.New("it is the server's own address")
	}
	if c.cfg.Foreign != nil {
		if why := c.cfg.Foreign(addr); why != "" {
			return nil, errors.New(why)
		}
	}
	if err := l.setTimes4(m); err != nil {
		return nil, err
	}
	l.setOptions4(m)
	return l, nil
}

// maskOf returns the length of the subnet's prefix. Without option 1 it is that of
// the address's class (RFC 950 section 2.1).
func maskOf(m *dhcpv4.DHCPv4, addr netip.Addr) (int, error) {
	raw := m.GetOneOption(dhcpv4.OptionSubnetMask)
	if raw == nil {
		switch first := addr.As4()[0]; {
		case first < 128:
			return 8, nil
		case first < 192:
			return 16, nil
		}
		return 24, nil
	}
	ones, size := net.IPMask(raw).Size()
	if len(raw) != net.IPv4len || size == 0 || ones < minBits4 {
		return 0, fmt.Errorf("the subnet mask (option 1) is %s, which is no subnet's", hex.EncodeToString(raw))
	}
	return ones, nil
}

// minBits4 is the shortest prefix of a subnet: that of the largest private block
// (RFC 1918). A shorter one would capture the container's traffic to the rest of
// the internet.
const minBits4 = 8

// setTimes4 sets the lifetimes. T1 and T2 are those of the server if 0 < T1 < T2 <
// lifetime, else 0.5 and 0.875 of the lifetime (RFC 2131 section 4.4.5).
func (l *Lease) setTimes4(m *dhcpv4.DHCPv4) error {
	lifetime, ok := seconds(m, dhcpv4.OptionIPAddressLeaseTime)
	if !ok || lifetime == 0 {
		return errors.New("it comes without a lease time (option 51), or with 0")
	}
	l.Lifetime, l.Preferred = lifetime, lifetime
	if lifetime == specs.Forever {
		l.T1, l.T2 = specs.Forever, specs.Forever
		return nil
	}
	l.T1, _ = seconds(m, dhcpv4.OptionRenewTimeValue)
	l.T2, _ = seconds(m, dhcpv4.OptionRebindingTimeValue)
	if l.T2 == 0 || l.T2 >= lifetime {
		l.T2 = specs.Seconds(uint64(lifetime) * 7 / 8)
	}
	if l.T1 == 0 || l.T1 >= l.T2 {
		l.T1 = min(lifetime/2, l.T2)
	}
	return nil
}

func seconds(m *dhcpv4.DHCPv4, o dhcpv4.OptionCode) (specs.Seconds, bool) {
	raw := m.GetOneOption(o)
	if len(raw) != 4 {
		return 0, false
	}
	return specs.Seconds(uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])), true
}

func typeName4(t dhcpv4.MessageType) string { return strings.ToLower(t.String()) }

func addr4(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip.To4())
	return a
}

// isUnicast4 reports whether a host of a LAN can have an address. Link-local
// addresses are chosen by hosts themselves, not by servers (RFC 3927 section 1.9).
func isUnicast4(a netip.Addr) bool {
	return a.Is4() && specs.IsUnicast(a) && !a.IsLinkLocalUnicast()
}
