package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Values of the fields op and htype (RFC 2131, figure 1; RFC 1700, "Hardware Type").
const (
	BootRequest = 1
	BootReply   = 2
	Ethernet    = 1
)

// FlagBroadcast is the bit of the field flags (RFC 2131, figure 2).
const FlagBroadcast = 0x8000

// Places of fields, in bytes (RFC 2131, figure 1).
const (
	atClient  = 12
	atYour    = 16
	atMAC     = 28
	atSname   = 44
	atFile    = 108
	atCookie  = 236
	atOptions = 240
)

// minMessage4 is the size of a BOOTP message (RFC 951 section 3). Some servers and relays drop
// shorter ones.
const minMessage4 = 300

// cookie precedes the options (RFC 2131 section 3).
var cookie = [4]byte{99, 130, 83, 99}

// Type4 is the type of a DHCPv4 message (RFC 2132 section 9.6), or 0 if a message has none.
type Type4 byte

// The types of messages of a client and of its servers.
const (
	Discover Type4 = iota + 1
	Offer
	Request4
	Decline4
	Ack
	Nak
	Release4
)

// String returns the name of a type.
func (t Type4) String() string {
	names := [...]string{"", "discover", "offer", "request", "decline", "ack", "nak", "release"}
	if t == 0 || int(t) >= len(names) {
		return fmt.Sprintf("unknown (%d)", byte(t))
	}
	return names[t]
}

// Codes of DHCPv4's options (RFC 2132 unless another is named).
const (
	SubnetMask       = 1
	Router           = 3
	DNS4             = 6
	HostName         = 12
	DomainName       = 15
	InterfaceMTU     = 26
	BroadcastAddress = 28
	StaticRoutes     = 33
	NTP4             = 42
	RequestedAddress = 50
	LeaseTime        = 51
	overload         = 52
	messageType      = 53
	ServerIdentifier = 54
	ParameterList    = 55
	ServerMessage    = 56
	MaxMessageSize   = 57
	RenewalTime      = 58
	RebindingTime    = 59
	ClientIdentifier = 61
	DomainSearch4    = 119 // RFC 3397
	ClasslessRoutes  = 121 // RFC 3442
	relayAgent       = 82  // RFC 3046
)

const (
	optionPad = 0
	optionEnd = 255
)

// Message4 is a DHCPv4 message, without the fields that a client does not use. The addresses of a
// parsed message are valid.
type Message4 struct {
	Op, HWType   byte
	XID          [4]byte
	Seconds      uint16
	Flags        uint16
	Client, Your netip.Addr // ciaddr, yiaddr; 0.0.0.0 is sent if not valid
	MAC          []byte     // up to 16 bytes
	Options      Options4
}

// Options4 has the values of options by their codes. The value of an option without bytes is nil.
type Options4 map[byte][]byte

// Type returns the type of a message, or 0 if it has none.
func (m *Message4) Type() Type4 {
	if raw := m.Options[messageType]; len(raw) == 1 {
		return Type4(raw[0])
	}
	return 0
}

// SetType sets the type of a message.
func (m *Message4) SetType(t Type4) { m.Options[messageType] = []byte{byte(t)} }

// Address returns the address in an option, or the zero address if it has not exactly one.
func (m *Message4) Address(code byte) netip.Addr {
	if raw := m.Options[code]; len(raw) == 4 {
		return netip.AddrFrom4([4]byte(raw))
	}
	return netip.Addr{}
}

// Server returns the server's identifier, or the zero address.
func (m *Message4) Server() netip.Addr { return m.Address(ServerIdentifier) }

// Bytes encodes a message. Options are in the order of their codes.
func (m *Message4) Bytes() []byte {
	b := make([]byte, atOptions, minMessage4)
	b[0], b[1], b[2] = m.Op, m.HWType, byte(len(m.MAC))
	copy(b[4:], m.XID[:])
	binary.BigEndian.PutUint16(b[8:], m.Seconds)
	binary.BigEndian.PutUint16(b[10:], m.Flags)
	copy(b[atClient:], m.Client.AsSlice())
	copy(b[atYour:], m.Your.AsSlice())
	copy(b[atMAC:atSname], m.MAC)
	copy(b[atCookie:], cookie[:])
	for code := byte(1); code < optionEnd; code++ {
		if value, ok := m.Options[code]; ok {
			b = appendOption4(b, code, value)
		}
	}
	b = append(b, optionEnd)
	if short := minMessage4 - len(b); short > 0 {
		b = append(b, make([]byte, short)...)
	}
	return b
}

// appendOption4 appends an option, in parts of 255 bytes (RFC 3396 section 5).
func appendOption4(b []byte, code byte, value []byte) []byte {
	for {
		part := value[:min(len(value), 255)]
		b = append(append(b, code, byte(len(part))), part...)
		if value = value[len(part):]; len(value) == 0 {
			return b
		}
	}
}

// Parse4 decodes a message. It also reads options in the fields file and sname (option 52, RFC
// 2132 section 9.3), in the order of RFC 3396 section 5.
func Parse4(b []byte) (*Message4, error) {
	if len(b) < atOptions {
		return nil, fmt.Errorf("the message has %d bytes, fewer than its fields", len(b))
	}
	if [4]byte(b[atCookie:]) != cookie {
		return nil, errors.New("the message does not have DHCP's cookie")
	}
	m := &Message4{
		Op: b[0], HWType: b[1], XID: [4]byte(b[4:]), Seconds: binary.BigEndian.Uint16(b[8:]),
		Flags: binary.BigEndian.Uint16(b[10:]), Client: netip.AddrFrom4([4]byte(b[atClient:])),
		Your: netip.AddrFrom4([4]byte(b[atYour:])), MAC: b[atMAC : atMAC+min(int(b[2]), atSname-atMAC)],
		Options: Options4{},
	}
	ended, err := m.Options.addEncoded(b[atOptions:])
	if err == nil && !ended && len(b) > atOptions {
		err = errors.New("the options have no end")
	}
	if fields := m.Options[overload]; err == nil && len(fields) == 1 {
		if fields[0]&1 != 0 {
			_, err = m.Options.addEncoded(b[atFile:atCookie])
		}
		if err == nil && fields[0]&2 != 0 {
			_, err = m.Options.addEncoded(b[atSname:atFile])
		}
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// addEncoded adds encoded options; the parts of an option are joined (RFC 3396). ended reports whether
// they have an end.
func (o Options4) addEncoded(b []byte) (ended bool, err error) {
	for len(b) > 0 {
		code := b[0]
		switch {
		case code == optionEnd:
			return true, nil
		case code == optionPad:
			b = b[1:]
			continue
		case len(b) == 1:
			o[code] = append(o[code], b[1:]...)
			return false, nil
		}
		end := 2 + int(b[1])
		if end > len(b) {
			return false, fmt.Errorf("option %d has %d bytes of %d", code, len(b)-2, b[1])
		}
		o[code] = append(o[code], b[2:end]...)
		b = b[end:]
	}
	return false, nil
}

// Route4 is a route of option 121.
type Route4 struct {
	To  netip.Prefix // masked
	Via netip.Addr   // 0.0.0.0 if on link
}

// Routes returns the classless static routes (RFC 3442). If one cannot be read, it returns none.
func (m *Message4) Routes() (all []Route4) {
	for b := m.Options[ClasslessRoutes]; len(b) > 0; {
		bits := int(b[0])
		significant := (bits + 7) / 8
		if bits > 32 || len(b) < 1+significant+4 {
			return nil
		}
		var to [4]byte
		copy(to[:], b[1:1+significant])
		via := netip.AddrFrom4([4]byte(b[1+significant:]))
		all = append(all, Route4{netip.PrefixFrom(netip.AddrFrom4(to), bits).Masked(), via})
		b = b[1+significant+4:]
	}
	return all
}
