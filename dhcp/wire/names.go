package wire

import (
	"errors"
	"strings"
)

// pointer are the bits of a length that mark a pointer to an earlier name (RFC 1035 section
// 4.1.4).
const pointer = 0xc0

// Names decodes domain names (RFC 1035 section 3.1), as they are in option 119 of DHCPv4 and
// option 24 of DHCPv6. A pointer may not lead to another one. A name without an end is the last one
// (RFC 4704 section 4.2).
func Names(b []byte) (all []string, err error) {
	var name []byte
	back := -1 // the place after the pointer that is being followed, or -1
	for at := 0; at < len(b); {
		size := int(b[at])
		at++
		switch {
		case size == 0:
			all = append(all, string(name))
			name = name[:0]
			if back >= 0 {
				at, back = back, -1
			}
		case size&pointer == pointer:
			if back >= 0 || at == len(b) {
				return nil, errors.New("a pointer in a domain name leads to another one, or to nothing")
			}
			at, back = (size&^pointer)<<8+int(b[at]), at+1
		default:
			if at+size > len(b) {
				return nil, errors.New("a label of a domain name is longer than the rest of its option")
			}
			if len(name) > 0 {
				name = append(name, '.')
			}
			name = append(name, b[at:at+size]...)
			at += size
		}
	}
	if len(name) > 0 {
		all = append(all, string(name))
	}
	return all, nil
}

// appendName appends one domain name.
func appendName(b []byte, name string) []byte {
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}
