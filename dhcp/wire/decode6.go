package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

var (
	errShort = errors.New("an option is shorter than its fields")
	errRelay = errors.New("the message is one between relays")
)

// Parse6 decodes a message of a server.
func Parse6(b []byte) (*Message6, error) {
	if len(b) < 4 {
		return nil, errShort
	}
	m := &Message6{Type: Type6(b[0]), XID: [3]byte(b[1:])}
	if m.Type == relayForward || m.Type == relayReply {
		return nil, errRelay
	}
	return m, readOptions6(b[4:], m.readOption)
}

// readOptions6 calls read with each option.
func readOptions6(b []byte, read func(code uint16, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errShort
		}
		end := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if end > len(b) {
			return errShort
		}
		if err := read(binary.BigEndian.Uint16(b), b[4:end:end]); err != nil {
			return err
		}
		b = b[end:]
	}
	return nil
}

// readOption reads an option of a message. Of an option that may occur once, the first counts.
func (m *Message6) readOption(code uint16, value []byte) (err error) {
	switch code {
	case clientID:
		return readDUID(&m.Client, value)
	case serverID:
		return readDUID(&m.Server, value)
	case identity:
		return m.readIdentity(value)
	case preference:
		return m.readPreference(value)
	case statusCode:
		return readStatus(&m.Status, value)
	case DNS6:
		return m.readDNS(value)
	case DomainSearch6:
		names, err := Names(value)
		if m.Search == nil {
			m.Search = append([]string{}, names...)
		}
		return err
	case NTP6:
		return readOptions6(value, m.readNTP)
	}
	return nil
}

func readDUID(to *[]byte, value []byte) error {
	if len(value) < minDUID {
		return errShort
	}
	if *to == nil {
		*to = value
	}
	return nil
}

func (m *Message6) readPreference(value []byte) error {
	if len(value) != 1 {
		return errShort
	}
	if !m.preferred {
		m.Preference, m.preferred = value[0], true
	}
	return nil
}

func (m *Message6) readDNS(value []byte) error {
	if len(value)%16 != 0 {
		return errShort
	}
	if m.DNS != nil {
		return nil
	}
	m.DNS = []netip.Addr{}
	for ; len(value) > 0; value = value[16:] {
		m.DNS = append(m.DNS, netip.AddrFrom16([16]byte(value)))
	}
	return nil
}

func (m *Message6) readNTP(code uint16, value []byte) error {
	switch code {
	case ntpAddress, ntpGroup:
		if len(value) != 16 {
			return errShort
		}
		if code == ntpAddress {
			m.NTP = append(m.NTP, netip.AddrFrom16([16]byte(value)))
		}
	case ntpName:
		_, err := Names(value)
		return err
	}
	return nil
}

func (m *Message6) readIdentity(value []byte) error {
	if len(value) < 12 {
		return errShort
	}
	ia := Identity{ID: [4]byte(value), T1: binary.BigEndian.Uint32(value[4:]), T2: binary.BigEndian.Uint32(value[8:])}
	err := readOptions6(value[12:], func(code uint16, value []byte) error {
		switch code {
		case identityAddr:
			return ia.readAddress(value)
		case statusCode:
			return readStatus(&ia.Status, value)
		}
		return nil
	})
	m.Identities = append(m.Identities, ia)
	return err
}

func (ia *Identity) readAddress(value []byte) error {
	if len(value) < 24 {
		return errShort
	}
	ia.Addresses = append(ia.Addresses, Address6{Addr: netip.AddrFrom16([16]byte(value)),
		Preferred: binary.BigEndian.Uint32(value[16:]), Valid: binary.BigEndian.Uint32(value[20:])})
	return readOptions6(value[24:], func(uint16, []byte) error { return nil })
}
