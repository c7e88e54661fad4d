package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"berth/hook"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/specs"
)

// addressSpace is the form of the names of address spaces. Each network has one of its own.
var addressSpace = regexp.MustCompile(`^berth-[0-9a-f]{16}$`)

// addressSpaces returns a new address space. docker asks for it once for each network, and shows
// it in the requests of the network's pools and in CreateNetwork. Nothing else in the protocol
// connects a pool with its network.
func (s *Server) addressSpaces(context.Context, []byte) (any, error) {
	var random [8]byte
	rand.Read(random[:]) // never fails: crypto/rand
	name := "berth-" + hex.EncodeToString(random[:])
	return AddressSpaces{name, name}, nil
}

// pool is one subnet of a network of docker. Its ID contains all of it, so the driver keeps none.
type pool struct {
	space  string
	subnet netip.Prefix
	given  netip.Prefix // the part from which addresses are given out, or the zero Prefix
}

func (p pool) id() string {
	id := p.space + " " + p.subnet.String()
	if p.given.IsValid() {
		id += " " + p.given.String()
	}
	return id
}

func parsePool(id string) (p pool, err error) {
	words := strings.Split(id, " ")
	if len(words) < 2 || len(words) > 3 || !addressSpace.MatchString(words[0]) {
		return p, specs.Invalid("PoolID", id, "the ID of a pool of berth's")
	}
	p.space = words[0]
	if p.subnet, err = netip.ParsePrefix(words[1]); err == nil && len(words) == 3 {
		p.given, err = netip.ParsePrefix(words[2])
	}
	return p, specs.At("PoolID", err)
}

// requestPool checks a subnet. The pool is the network's, so only its range is kept, until docker
// has created the network.
func (s *Server) requestPool(_ context.Context, data []byte) (any, error) {
	var r RequestPool
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if !addressSpace.MatchString(r.AddressSpace) {
		return nil, specs.Invalid("AddressSpace", r.AddressSpace, "one that berth has named")
	}
	for key, value := range r.Options {
		return nil, specs.Invalid("--ipam-opt "+key, value, "no option; -o has berth's")
	}
	if r.Pool == "" {
		return nil, specs.Invalid("--subnet", "",
			"the subnet of the network, because docker allows --ip only on a network with --subnet; "+
				"berth network inspect NAME shows that of a network of berth's")
	}
	p := pool{space: r.AddressSpace}
	var err error
	if p.subnet, err = parseSubnet("--subnet", r.Pool); err != nil {
		return nil, err
	}
	if r.SubPool != "" {
		if p.given, err = parseSubnet("--ip-range", r.SubPool); err != nil {
			return nil, err
		}
		if p.given.Bits() < p.subnet.Bits() || !p.subnet.Contains(p.given.Addr()) {
			return nil, specs.Invalid("--ip-range", r.SubPool, "a part of the subnet %s", p.subnet)
		}
		s.ranges.add(p)
	}
	return GivenPool{p.id(), p.subnet.String()}, nil
}

func parseSubnet(key, text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, specs.Invalid(key, text, "an address with a prefix length")
	}
	return p.Masked(), nil
}

// requestAddress reserves an address for a container, or answers the address of a gateway or an
// auxiliary one, which docker requests before it tells the driver of the network.
func (s *Server) requestAddress(ctx context.Context, data []byte) (any, error) {
	r, p, addr, err := readAddress(data)
	if err != nil {
		return nil, err
	}
	if r.Options[optionType] != "" { // a gateway
		return p.reservedAddress(addr)
	}
	c, err := s.Networks.OfSpace(p.space)
	switch {
	case err != nil:
		return nil, err
	case c == nil && addr.IsValid(): // an auxiliary address
		return p.reservedAddress(addr)
	case c == nil:
		return nil, fmt.Errorf("berth does not know the network of docker with the subnet %s, whose file in %s is gone; "+
			"remove it and create it again: docker network rm NAME", p.subnet, s.Networks.Dir)
	}
	selection, err := c.Selection()
	if err != nil {
		return nil, err
	}
	w := &hook.Wanted{Pool: p.space, Selection: selection, Subnet: p.subnet, Range: p.given, Addr: addr}
	given, err := s.reserve(ctx, w)
	return GivenAddress{given}, atRequested(addr, err)
}

// reserve reserves an address. Those that docker has forgotten are no obstacle.
func (s *Server) reserve(ctx context.Context, w *hook.Wanted) (netip.Prefix, error) {
	given, err := s.NewHook().Reserve(ctx, w)
	var exhausted *lease.ExhaustedError
	var inUse *lease.InUseError
	if !errors.As(err, &exhausted) && !errors.As(err, &inUse) {
		return given, err
	}
	if swept, sweepErr := s.Sweep(ctx); swept == 0 || sweepErr != nil {
		return given, errors.Join(err, sweepErr)
	}
	return s.NewHook().Reserve(ctx, w)
}

// atRequested names a requested address in an error as docker's command line does.
func atRequested(addr netip.Addr, err error) error {
	var inUse *lease.InUseError
	var v *specs.ValueError
	switch {
	case err == nil || !addr.IsValid():
		return err
	case errors.As(err, &v) && err.Error() == v.Error() && (v.Key == "" || v.Key == "ips"):
		named := *v
		named.Key = "--ip"
		return &named
	case errors.As(err, &inUse):
		return fmt.Errorf("--ip: %w; request another address, or none", err)
	}
	return err
}

// reservedAddress answers an address that no container gets. CreateNetwork has it again.
func (p pool) reservedAddress(addr netip.Addr) (any, error) {
	if !addr.IsValid() {
		return nil, specs.Invalid("--gateway", "", "the gateway of the network, which this version of docker requires")
	}
	if !p.subnet.Contains(addr) {
		return nil, specs.Invalid("address", addr.String(), "an address in the subnet %s", p.subnet)
	}
	return GivenAddress{netip.PrefixFrom(addr, p.subnet.Bits())}, nil
}

func readAddress(data []byte) (r AddressRequest, p pool, addr netip.Addr, err error) {
	if err = json.Unmarshal(data, &r); err != nil {
		return r, p, addr, fmt.Errorf("read the request: %w", err)
	}
	if p, err = parsePool(r.PoolID); err != nil || r.Address == "" {
		return r, p, addr, err
	}
	if addr, err = netip.ParseAddr(r.Address); err != nil {
		err = specs.Invalid("Address", r.Address, "an IP address")
	}
	return r, p, addr.Unmap(), err
}

// releaseAddress ends a reservation. docker deletes an endpoint before it releases the addresses,
// so a reservation whose endpoint exists is another container's.
func (s *Server) releaseAddress(ctx context.Context, data []byte) (any, error) {
	_, p, addr, err := readAddress(data)
	if err != nil {
		return nil, err
	}
	key := lease.ReservationKey(p.space, addr)
	return done{}, s.Store.Update(ctx, func(tx *state.Tx) error {
		r, err := lease.FindReservation(tx, key)
		if err != nil || r == nil {
			return err
		}
		if e, err := findEndpoint(tx, r.Endpoint); err != nil || e != nil {
			return err
		}
		return lease.EndReservation(tx, key)
	})
}
