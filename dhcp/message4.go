package dhcp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"berth/dhcp/wire"
	"berth/internal/text"
	"berth/specs"
)

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// maxMessage4 is the size of the largest reply that fits one Ethernet frame (option 57).
const maxMessage4 = 1472

// requested4 are the options that the client asks for (option 55). The classless
// routes come before the routers (RFC 3442).
var requested4 = [...]byte{
	wire.SubnetMask, wire.ClasslessRoutes, wire.StaticRoutes, wire.Router, wire.DNS4, wire.DomainName,
	wire.DomainSearch4, wire.InterfaceMTU, wire.BroadcastAddress, wire.NTP4, wire.LeaseTime, wire.ServerIdentifier,
	wire.RenewalTime, wire.RebindingTime,
}

func (c *Client4) message(now time.Duration, t wire.Type4) *wire.Message4 {
	m := &wire.Message4{
		Op: wire.BootRequest, HWType: wire.Ethernet, XID: c.xid, MAC: c.cfg.MAC[:],
		Seconds: uint16(min(0xffff, max(0, now-c.began)/time.Second)), Options: wire.Options4{},
	}
	if c.cfg.Broadcast && c.state != Renewing {
		m.Flags = wire.FlagBroadcast
	}
	m.SetType(t)
	if len(c.cfg.ClientID) > 0 {
		m.Options[wire.ClientIdentifier] = c.cfg.ClientID
	}
	if t == wire.Discover || t == wire.Request4 {
		m.Options[wire.ParameterList] = requested4[:]
		m.Options[wire.MaxMessageSize] = binary.BigEndian.AppendUint16(nil, maxMessage4)
		if c.cfg.Hostname != "" {
			m.Options[wire.HostName] = []byte(c.cfg.Hostname)
		}
	}
	return m
}

// isMine reports whether a message is a reply to this client's last one. RFC 6842:
// a server that echoes the client's identifier must echo this one; all clients
// behind one ipvlan parent have the same MAC.
func (c *Client4) isMine(m *wire.Message4) bool {
	if m.Op != wire.BootReply || m.HWType != wire.Ethernet || m.XID != c.xid || !bytes.Equal(m.MAC, c.cfg.MAC[:]) {
		return false
	}
	id := m.Options[wire.ClientIdentifier]
	return id == nil || bytes.Equal(id, c.cfg.ClientID)
}

// sender returns the identity of a message's server.
func sender(m *wire.Message4, p Packet) netip.Addr {
	if a := m.Server(); a.IsValid() {
		return a
	}
	return p.From
}

// said4 returns the server's own explanation (option 56) as the end of a sentence.
func said4(m *wire.Message4) string {
	said := m.Options[wire.ServerMessage]
	if len(said) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", text.Printable(strings.ToValidUTF8(string(said[:min(len(said), 80)]), "")))
}

// leaseOf returns the lease of an OFFER or ACK, or the reason for refusing it. It
// drops values that no host can use and keeps the rest.
func (c *Client4) leaseOf(m *wire.Message4, p Packet) (*Lease, error) {
	l := &Lease{DHCPLease: specs.DHCPLease{
		Server: m.Server(), ServerMAC: p.MAC,
		ClientID: hex.EncodeToString(c.cfg.ClientID), Hostname: c.cfg.Hostname,
	}}
	if !isUnicast4(l.Server) {
		return nil, fmt.Errorf("the server's identifier (option 54) is %s, no host's address",
			hex.EncodeToString(m.Options[wire.ServerIdentifier]))
	}
	addr := m.Your
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
func maskOf(m *wire.Message4, addr netip.Addr) (int, error) {
	raw := m.Options[wire.SubnetMask]
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
func (l *Lease) setTimes4(m *wire.Message4) error {
	lifetime, ok := seconds(m, wire.LeaseTime)
	if !ok || lifetime == 0 {
		return errors.New("it comes without a lease time (option 51), or with 0")
	}
	l.Lifetime, l.Preferred = lifetime, lifetime
	if lifetime == specs.Forever {
		l.T1, l.T2 = specs.Forever, specs.Forever
		return nil
	}
	l.T1, _ = seconds(m, wire.RenewalTime)
	l.T2, _ = seconds(m, wire.RebindingTime)
	if l.T2 == 0 || l.T2 >= lifetime {
		l.T2 = specs.Seconds(uint64(lifetime) * 7 / 8)
	}
	if l.T1 == 0 || l.T1 >= l.T2 {
		l.T1 = min(lifetime/2, l.T2)
	}
	return nil
}

func seconds(m *wire.Message4, option byte) (specs.Seconds, bool) {
	raw := m.Options[option]
	if len(raw) != 4 {
		return 0, false
	}
	return specs.Seconds(uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])), true
}

// isUnicast4 reports whether a host of a LAN can have an address. Link-local
// addresses are chosen by hosts themselves, not by servers (RFC 3927 section 1.9).
func isUnicast4(a netip.Addr) bool {
	return a.Is4() && specs.IsUnicast(a) && !a.IsLinkLocalUnicast()
}
