package lease

import (
	"errors"

	"berth/internal/random"
	"berth/specs"
)

// maxTries bounds the search for a free MAC. With 2^46 possible ones, even a
// domain with a million is not expected to need a second try.
const maxTries = 16

// RandomMAC returns a random MAC, unicast and locally administered (IEEE 802-2014, 8.4).
func RandomMAC() (m specs.MAC) {
	random.Read(m[:])
	m[0] = m[0]&^0x01 | 0x02
	return m
}

// TakeMAC leases a random MAC, which is unique among the leased MACs of the domain.
func (l *Leases) TakeMAC(owner Owner) (specs.MAC, error) {
	for range maxTries {
		m := RandomMAC()
		err := l.ClaimMAC(m, owner)
		if inUse := new(InUseError); !errors.As(err, &inUse) {
			return m, err
		}
	}
	return specs.MAC{}, errors.New("lease a MAC: no random MAC was free")
}

// ClaimMAC leases a requested MAC. It returns an *InUseError if another
// attachment holds it in the domain.
func (l *Leases) ClaimMAC(m specs.MAC, owner Owner) error {
	holder, err := l.findLease(l.macs, m[:])
	switch {
	case err != nil:
		return err
	case holder == nil:
		return l.putRecord(l.macs, m[:], owner, terms{})
	case holder.Owner != owner.Key:
		return &InUseError{Holder: *holder}
	}
	return nil
}
