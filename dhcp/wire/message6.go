package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Type6 is the type of a DHCPv6 message (RFC 8415 section 7.3).
type Type6 byte

// The types of messages of a client and of its servers.
const (
	Solicit            Type6 = 1
	Advertise          Type6 = 2
	Request6           Type6 = 3
	Confirm            Type6 = 4
	Renew              Type6 = 5
	Rebind             Type6 = 6
	Reply              Type6 = 7
	Release6           Type6 = 8
	Decline6           Type6 = 9
	InformationRequest Type6 = 11
	relayForward       Type6 = 12
	relayReply         Type6 = 13
)

// String returns the name of a type.
func (t Type6) String() string {
	names := [...]string{Solicit: "solicit", Advertise: "advertise", Request6: "request", Confirm: "confirm",
		Renew: "renew", Rebind: "rebind", Reply: "reply", Release6: "release", Decline6: "decline",
		InformationRequest: "information-request"}
	if int(t) >= len(names) || names[t] == "" {
		return fmt.Sprintf("unknown (%d)", byte(t))
	}
	return names[t]
}

// Codes of DHCPv6's options (RFC 8415 section 21 unless another is named).
const (
	clientID      = 1
	serverID      = 2
	identity      = 3
	identityAddr  = 5
	optionRequest = 6
	preference    = 7
	elapsedTime   = 8
	statusCode    = 13
	DNS6          = 23 // RFC 3646
	DomainSearch6 = 24 // RFC 3646
	fqdn          = 39 // RFC 4704
	NTP6          = 56 // RFC 5908
)

// Suboptions of NTP6.
const (
	ntpAddress = 1
	ntpGroup   = 2
	ntpName    = 3
)

// minDUID is the size of a DUID's type (RFC 8415 section 11.1).
const minDUID = 2

// Message6 is a DHCPv6 message of a client or a server, without the options that berth does not
// use.
type Message6 struct {
	Type       Type6
	XID        [3]byte
	Client     []byte // DUIDs; nil if not in the message
	Server     []byte
	Elapsed    uint16 // hundredths of a second
	Identities []Identity
	Status     *Status // nil if not in the message
	Preference byte
	DNS, NTP   []netip.Addr
	Search     []string

	// Of messages to a server.
	Requested []uint16 // codes of options
	FQDN      string   // "" for none
	FQDNFlags byte

	preferred bool // a Preference was read
}

// Identity is an IA_NA (section 21.4).
type Identity struct {
	ID        [4]byte
	T1, T2    uint32 // seconds
	Addresses []Address6
	Status    *Status // nil if not in the option
}

// Address6 is an IA address (section 21.6), with its lifetimes in seconds.
type Address6 struct {
	Addr             netip.Addr
	Preferred, Valid uint32
}

// Bytes encodes a message to servers.
func (m *Message6) Bytes() []byte {
	b := append([]byte{byte(m.Type)}, m.XID[:]...)
	b = appendOption6(b, clientID, m.Client)
	if m.Server != nil {
		b = appendOption6(b, serverID, m.Server)
	}
	b = appendOption6(b, elapsedTime, binary.BigEndian.AppendUint16(nil, m.Elapsed))
	for i := range m.Identities {
		b = appendOption6(b, identity, m.Identities[i].bytes())
	}
	if len(m.Requested) > 0 {
		var codes []byte
		for _, code := range m.Requested {
			codes = binary.BigEndian.AppendUint16(codes, code)
		}
		b = appendOption6(b, optionRequest, codes)
	}
	if m.FQDN != "" {
		b = appendOption6(b, fqdn, appendName([]byte{m.FQDNFlags}, m.FQDN))
	}
	return b
}

func (ia *Identity) bytes() []byte {
	b := binary.BigEndian.AppendUint32(ia.ID[:4:4], ia.T1)
	b = binary.BigEndian.AppendUint32(b, ia.T2)
	for _, a := range ia.Addresses {
		value := binary.BigEndian.AppendUint32(a.Addr.AsSlice(), a.Preferred)
		b = appendOption6(b, identityAddr, binary.BigEndian.AppendUint32(value, a.Valid))
	}
	return b
}

func appendOption6(b []byte, code uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}
