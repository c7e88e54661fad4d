package specs

import "net"

// FrameMAC is a 48-bit address as found in a frame. The forger of a frame can
// choose it: unlike a [MAC] it may be a group address, or all zero.
type FrameMAC [6]byte

// String returns the address as lower-case octets with colons.
func (m FrameMAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText implements encoding.TextMarshaler.
func (m FrameMAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes any six octets,
// in any notation of net.ParseMAC.
func (m *FrameMAC) UnmarshalText(text []byte) error {
	hw, err := net.ParseMAC(string(text))
	if err != nil || len(hw) != len(m) {
		return Invalid("", string(text), "a MAC address of six octets, as 02:00:5e:00:53:01")
	}
	*m = FrameMAC(hw)
	return nil
}
