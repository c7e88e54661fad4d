package network

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Device describes a link's hardware and its receive filter: together they decide
// whether frames for other MACs are received.
type Device struct {
	Driver       string // as ethtool -i prints it: "virtio_net", "veth"; "" if the kernel names none
	Bus          string // bus address of the hardware, as "0000:00:03.0"; "" for software
	Promiscuity  int    // number of users that requested all frames; if 0, the link filters by MAC
	AllMulticast bool   // all multicast is received
}

// Device returns the Device of a link. Errors: [ErrNoLink].
func (h *Handle) Device(index int) (Device, error) {
	answers, err := h.request(unix.RTM_GETLINK, 0, unix.RTM_NEWLINK, linkHeader(index))
	if isErrno(err, unix.ENODEV) || err == nil && len(answers) == 0 {
		err = ErrNoLink
	}
	if err != nil {
		return Device{}, fmt.Errorf("read the driver of interface %d: %w", index, err)
	}
	d, name := parseDevice(answers[0])
	info, err := unix.IoctlGetEthtoolDrvinfo(h.fd(), name) // any socket of the namespace works
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return d, nil
	case errors.Is(err, unix.ENODEV):
		return d, fmt.Errorf("read the driver of interface %q: %w", name, ErrNoLink)
	case err != nil:
		return d, fmt.Errorf("read the driver of interface %q: %w", name, err)
	}
	d.Driver, d.Bus = unix.ByteSliceToString(info.Driver[:]), unix.ByteSliceToString(info.Bus_info[:])
	if d.Bus == "N/A" || d.Bus == "tap" || d.Bus == "tun" { // bridge, bond; drivers/net/tun.c
		d.Bus = ""
	}
	return d, nil
}

// parseDevice parses the payload of an RTM_NEWLINK message.
func parseDevice(b []byte) (d Device, name string) {
	if len(b) < unix.SizeofIfInfomsg {
		return d, ""
	}
	d.AllMulticast = binary.NativeEndian.Uint32(b[8:])&unix.IFF_ALLMULTI != 0
	for kind, v := range attributes(b[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			name = unix.ByteSliceToString(v)
		case unix.IFLA_PROMISCUITY:
			d.Promiscuity = int(parseNumber(v))
		case unix.IFLA_ALLMULTI: // Linux 6.3
			d.AllMulticast = d.AllMulticast || parseNumber(v) > 0
		}
	}
	return d, name
}
