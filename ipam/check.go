package ipam

import (
	"fmt"

	"berth/specs"
)

// CheckPools refuses a new network with a pool that has no address to give out: all are reserved or
// excluded. A network's file may have such a pool, for example until the containers that an
// administrator has moved there request other addresses; berth check reports it.
func CheckPools(n *specs.Network) error {
	if !n.HasPool() {
		return nil
	}
	for i, s := range n.Subnets {
		p := PoolOf(n, s, nil)
		if p.Size() > 0 {
			continue
		}
		key := "subnet"
		if s.IPRange.IsValid() {
			key = "ip_range"
		}
		return specs.At(fmt.Sprintf("subnet[%d]", i), specs.Unusable(key, p.Range().String(),
			"it has no address for a container: all are excluded or reserved (the gateway, the network's own and "+
				"the broadcast address); choose a larger one, or ipam = \"static\" if each container requests its address"))
	}
	return nil
}
