package dhcp

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"berth/specs"
)

// ReleaseOf returns the RELEASE of a recorded lease.
func ReleaseOf(l *Lease, mac specs.MAC) (Action, error) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	id, err := hex.DecodeString(l.ClientID)
	if err != nil {
		return Action{}, fmt.Errorf("client id %q of the lease of %s: %w", l.ClientID, l.Address, err)
	}
	if l.Address.Addr().Is4() {
		return Resume4(Config4{MAC: mac, ClientID: id, Random: random}, l).Release(l.Began)[0], nil
	}
	return Resume6(Config6{MAC: mac, DUID: id, Random: random}, l).Release(l.Began)[0], nil
}
