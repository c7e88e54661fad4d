package foreign

import (
	"fmt"
	"net/netip"
	"time"

	"go.etcd.io/bbolt"

	"berth/internal/regular"
	"berth/specs"
)

// lockTimeout bounds the wait for podman, which locks its database for a moment.
const lockTimeout = 200 * time.Millisecond

// readPodman reads the addresses that podman's own IPAM has given out on networks of netavark
// (libnetwork/netavark/ipam.go in containers/common). All podmans that root runs share them.
func (r *Reader) readPodman() ([]Holding, error) {
	if r.places.Podman == "" {
		return nil, nil
	}
	return r.readFile(r.places.Podman, parsePodman)
}

// parsePodman reads the database: a bucket for each network, in it one for each subnet, in it
// the container's ID for each address.
func parsePodman(path string) (all []Holding, err error) {
	defer func() { // bbolt panics on a damaged file
		if r := recover(); r != nil {
			all, err = nil, fmt.Errorf("it is damaged: %v", r)
		}
	}()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout, OpenFile: regular.Open})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(network []byte, b *bbolt.Bucket) error {
			all = append(all, podmanHoldings(string(network), b)...)
			return nil
		})
	})
	return all, err
}

// podmanHoldings returns the holdings on a network.
func podmanHoldings(network string, b *bbolt.Bucket) []Holding {
	byContainer := make(map[string]*Holding)
	var order []string
	_ = b.ForEachBucket(func(subnet []byte) error { // the function returns no error
		return b.Bucket(subnet).ForEach(func(key, id []byte) error {
			a, isAddress := netip.AddrFromSlice(key) // other keys have another length
			if !isAddress || len(id) == 0 {
				return nil
			}
			h := byContainer[string(id)]
			if h == nil {
				h = &Holding{Network: specs.EngineNetwork{Engine: specs.EnginePodman, Name: network}, Container: string(id)}
				byContainer[h.Container] = h
				order = append(order, h.Container)
			}
			h.addAddresses(a.String())
			return nil
		})
	})
	var all []Holding
	for _, id := range order {
		all = append(all, *byContainer[id])
	}
	return all
}
