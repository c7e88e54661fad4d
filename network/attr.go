package network

import (
	"encoding/binary"
	"iter"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attributes iterates over netlink attributes: a length and a type of two bytes each, the
// value, padding to four bytes (include/uapi/linux/netlink.h). It stops at the first
// attribute that does not fit.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			size := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if size < unix.SizeofNlAttr || size > len(b) || !yield(kind, b[unix.SizeofNlAttr:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

// parseNumber parses an unsigned integer in the machine's byte order, of 1, 2, 4 or 8 bytes.
func parseNumber(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(b))
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

func attr16(kind int, v uint16) *nl.RtAttr {
	return nl.NewRtAttr(kind, binary.NativeEndian.AppendUint16(nil, v))
}

func attr32(kind int, v uint32) *nl.RtAttr {
	return nl.NewRtAttr(kind, binary.NativeEndian.AppendUint32(nil, v))
}

func attrString(kind int, s string) *nl.RtAttr {
	return nl.NewRtAttr(kind, append([]byte(s), 0))
}

func nested(kind int, children ...*nl.RtAttr) *nl.RtAttr {
	a := nl.NewRtAttr(kind, nil)
	for _, child := range children {
		a.AddChild(child)
	}
	return a
}

// linkHeader returns the fixed part of a request about a link. If index is 0, the
// attributes name the link.
func linkHeader(index int) *nl.IfInfomsg {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Index = int32(index)
	return m
}
