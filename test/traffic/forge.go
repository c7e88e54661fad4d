package traffic

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// A Forger sends frames with source MACs that do not belong to its interface.
type Forger struct {
	fd, index int
	source    Place
}

// Forger opens a forger, which the caller closes.
func (p Place) Forger() (f *Forger, err error) {
	err = p.within(func() error {
		ifi, err := net.InterfaceByName(p.IfName)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		f = &Forger{fd, ifi.Index, p}
		return nil
	})
	return f, err
}

// Send sends an empty UDP datagram from a MAC, and the place's address.
func (f *Forger) Send(mac [6]byte) error {
	frame := append([]byte{2, 0, 0x5e, 0, 0x53, 0xfe}, mac[:]...)
	frame = append(frame, 0x08, 0x00, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0)
	frame = append(frame, f.source.V4.AsSlice()...)
	frame = append(frame, 192, 0, 2, 250, 0, 1, 0, 2, 0, 8, 0, 0)
	return unix.Sendto(f.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: f.index, Halen: 6})
}

// Close closes the socket.
func (f *Forger) Close() error { return unix.Close(f.fd) }
