package hook

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// TestDHCPServerIsMalicious starts containers against a server that answers each message
// with many damaged replies. Each start ends in time: with an address that an interface
// can have, or with an error and nothing left.
func TestDHCPServerIsMalicious(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	testnet.Address(t, h.lan, "wire", "192.0.2.1/24")
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\ndhcp_timeout = '4s'\nconflict_timeout = '0'\n")
	serveDamaged(t, h.lan, rand.New(rand.NewPCG(rand.Uint64(), 1)))
	leased, refused := 0, 0
	for range 8 {
		b := h.box("a", "lan")
		before := h.snapshot(b)
		if err := h.start(b); err != nil {
			h.unchanged(b, before)
			if strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "cannot be read") {
				refused++
			}
		} else {
			leased++
			for _, p := range h.firstOf("a").Addresses {
				if a := p.Addr(); !a.Is4() || a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() || p.Bits() < 8 {
					t.Errorf("address %s", p)
				}
			}
			h.mustStop(b)
		}
	}
	if leased+refused < 8 {
		t.Errorf("%d starts got an address, and %d were told the reasons; want 8", leased, refused)
	}
}

// serveDamaged answers DHCP messages on "wire" until the test ends.
func serveDamaged(t *testing.T, lan *testnet.NS, random *rand.Rand) {
	t.Helper()
	var fd int
	var err error
	testnet.In(t, lan, func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return
		}
		for _, option := range []int{unix.SO_REUSEADDR, unix.SO_BROADCAST} {
			if err == nil {
				err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1)
			}
		}
		if err == nil {
			err = unix.BindToDevice(fd, "wire")
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: 67})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "rogue")
	conn, err := net.FilePacketConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, _, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			m, err := dhcpv4.FromBytes(buffer[:n])
			if err != nil {
				continue
			}
			for range 200 {
				_, _ = conn.WriteTo(damagedReply(m, random), &net.UDPAddr{IP: net.IPv4bcast, Port: 68}) // its queue may be full
			}
		}
	}()
}

// damagedReply returns a reply with the client's transaction, and other fields of any
// value, of which the first few are likely ones.
func damagedReply(m *dhcpv4.DHCPv4, random *rand.Rand) []byte {
	ip := func() net.IP {
		all := []net.IP{{192, 0, 2, byte(random.IntN(256))}, {127, 0, 0, 1}, {224, 0, 0, 1}, {0, 0, 0, 0}, {255, 255, 255, 255}, {169, 254, 1, 1}}
		return all[random.IntN(len(all))]
	}
	types := []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak, dhcpv4.MessageType(random.IntN(256))}
	r, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(types[random.IntN(len(types))]), dhcpv4.WithYourIP(ip()))
	if err != nil {
		return nil
	}
	for range random.IntN(12) {
		value := make([]byte, random.IntN(9))
		for i := range value {
			value[i] = byte(random.IntN(256))
		}
		codes := []uint8{1, 3, 6, 15, 26, 33, 51, 52, 54, 58, 59, 61, 119, 121, uint8(random.IntN(256))}
		r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(codes[random.IntN(len(codes))]), value))
	}
	if random.IntN(2) == 0 {
		r.UpdateOption(dhcpv4.OptServerIdentifier(net.IP{192, 0, 2, 1}))
		r.UpdateOption(dhcpv4.OptSubnetMask(net.IPv4Mask(255, 255, 255, 0)))
		r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionIPAddressLeaseTime, binary.BigEndian.AppendUint32(nil, random.Uint32N(3)*random.Uint32())))
	}
	b := r.ToBytes()
	for range random.IntN(3) {
		b[random.IntN(len(b))] = byte(random.IntN(256))
	}
	return b[:len(b)-random.IntN(2)*random.IntN(len(b))]
}
