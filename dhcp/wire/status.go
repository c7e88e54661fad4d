package wire

import (
	"encoding/binary"
	"fmt"
)

// Status is the status of a message or an IA (RFC 8415 section 21.13).
type Status struct {
	Code Code
	Said string // for people
}

// Code is a code of a status.
type Code uint16

// The codes that a client acts on.
const (
	Success   Code = 0
	NoBinding Code = 3
	NotOnLink Code = 4
)

// codes are the names of RFC 8415 section 21.13.
var codes = [...]string{"Success", "UnspecFail", "NoAddrsAvail", "NoBinding", "NotOnLink", "UseMulticast",
	"NoPrefixAvail"}

// String returns the name of a code.
func (c Code) String() string {
	if int(c) < len(codes) {
		return codes[c]
	}
	return fmt.Sprintf("status %d", uint16(c))
}

// readStatus reads a status, unless there is one already.
func readStatus(to **Status, value []byte) error {
	if len(value) < 2 {
		return errShort
	}
	if *to == nil {
		*to = &Status{Code: Code(binary.BigEndian.Uint16(value)), Said: string(value[2:])}
	}
	return nil
}
