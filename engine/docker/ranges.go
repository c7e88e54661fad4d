package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"berth/ipam"
	"berth/specs"
)

// ranges keeps the pools with --ip-range of networks that docker is creating, by their address
// spaces. docker shows a range when it requests the pool, and not when it creates the network;
// the gateway, the auxiliary addresses and the options only then.
type ranges struct {
	mu      sync.Mutex
	bySpace map[string][]pool
}

func (r *ranges) add(p pool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bySpace == nil {
		r.bySpace = make(map[string][]pool)
	}
	if !slices.Contains(r.bySpace[p.space], p) {
		r.bySpace[p.space] = append(r.bySpace[p.space], p)
	}
}

// take removes the pools of an address space and returns them.
func (r *ranges) take(space string) []pool {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer delete(r.bySpace, space)
	return r.bySpace[space]
}

// releasePool forgets the ranges of a network that docker did not create.
func (s *Server) releasePool(_ context.Context, data []byte) (any, error) {
	var r AddressRequest
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	p, err := parsePool(r.PoolID)
	s.ranges.take(p.space)
	return done{}, err
}

// checkRanges refuses a network with a range that has no address for a container.
func (s *Server) checkRanges(space string, n *specs.Network) error {
	for _, p := range s.ranges.take(space) {
		subnet := n.SubnetOf(p.subnet.Addr())
		if subnet == nil || !n.HasPool() {
			continue
		}
		own := ipam.PoolOf(n, *subnet, nil)
		if !own.Range().Overlaps(p.given) {
			return specs.Unusable("--ip-range", p.given.String(), "the network gives out addresses of %s; choose a part of "+
				"that, or leave out --ip-range", own.Range())
		}
		if own.Within(p.given).Size() == 0 {
			return specs.Unusable("--ip-range", p.given.String(), "it has no address for a container: all are excluded or "+
				"reserved (the gateway, the network's own and the broadcast address); choose a larger one")
		}
	}
	return nil
}
