package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"

	"berth/dhcp/exchange"
	"berth/hook"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/specs"
)

// readEndpoint reads the request of a call about an endpoint.
func readEndpoint(data []byte) (*EndpointRequest, error) {
	r := new(EndpointRequest)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if !networkID.MatchString(r.EndpointID) {
		return nil, specs.Invalid("EndpointID", r.EndpointID, "docker's ID of an endpoint, of 64 hexadecimal digits")
	}
	return r, nil
}

// createEndpoint keeps an endpoint until Join, which does not repeat its address, and connects
// the reservations of its addresses with it. If docker chose the addresses, they are not reserved
// yet.
func (s *Server) createEndpoint(ctx context.Context, data []byte) (any, error) {
	r, err := readEndpoint(data)
	if err != nil {
		return nil, err
	}
	c, err := s.Networks.Load(r.NetworkID)
	if err != nil {
		return nil, err
	}
	e, answer, err := s.newEndpoint(c, r)
	if err != nil {
		return nil, err
	}
	if c.ByDocker() {
		if err := s.reserveChosen(ctx, c, e); err != nil {
			return nil, err
		}
	}
	err = s.Store.Update(ctx, func(tx *state.Tx) error {
		for _, p := range e.Addresses {
			if err := bindReservation(tx, e, p.Addr()); err != nil {
				return err
			}
		}
		return putEndpoint(tx, e)
	})
	return answer, err
}

// newEndpoint returns the endpoint of a request, and the answer: the MAC, if docker left it to
// the driver.
func (s *Server) newEndpoint(c *CreateNetwork, r *EndpointRequest) (*Endpoint, *CreatedEndpoint, error) {
	space, err := c.Space()
	if err != nil {
		return nil, nil, err
	}
	selection, err := c.Selection()
	if err != nil {
		return nil, nil, err
	}
	n, err := s.networkOf(&selection)
	if err != nil {
		return nil, nil, err
	}
	e := &Endpoint{ID: r.EndpointID, Network: r.NetworkID, Space: space, Since: exchange.Now()}
	e.Interface, _ = r.Options[optionInterface].(string)
	if e.Interface != "" {
		if err := specs.CheckInterfaceName(e.Interface); err != nil {
			return nil, nil, specs.At(optionInterface, err)
		}
	}
	answer := new(CreatedEndpoint)
	asked := r.Interface
	if asked == nil {
		asked = new(EndpointInterface)
	}
	if e.Addresses, err = parseAddresses(asked); err != nil {
		return nil, nil, err
	}
	if len(e.Addresses) == 0 && space != noSpace {
		return nil, nil, specs.Invalid("--ip", "", "an address of berth's IPAM driver")
	}
	switch {
	case asked.MacAddress != "":
		e.MAC, err = s.requestedMAC(asked.MacAddress, selection)
	case n.Driver != specs.IPvlan && n.Mode != specs.ModePassthru:
		e.MAC, err = s.newMAC(n)
		answer.Interface.MacAddress = e.MAC.String()
	}
	return e, answer, specs.At("--mac-address", err)
}

// newMAC returns a MAC for an interface: one that only this node gives out, if the network's pool is
// shared (specs/cluster.md).
func (s *Server) newMAC(n *specs.Network) (m specs.MAC, err error) {
	if !n.Clustered() {
		return lease.RandomMAC(), nil
	}
	err = s.Store.View(context.Background(), func(tx *state.Tx) error {
		m, err = lease.FreeSharedMAC(tx, n.Domain)
		return err
	})
	return m, err
}

// requestedMAC returns the MAC that docker requests, if the policy permits the request.
func (s *Server) requestedMAC(text string, selection specs.Selection) (specs.MAC, error) {
	mac, err := specs.ParseMAC(text)
	if err != nil {
		return mac, err
	}
	selection.MAC = mac
	return mac, s.Allow(selection)
}

func parseAddresses(of *EndpointInterface) (all []netip.Prefix, err error) {
	for _, text := range []string{of.Address, of.AddressIPv6} {
		if text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, specs.Invalid("--ip", text, "an address with a prefix length")
		}
		all = append(all, p)
	}
	return all, nil
}

// bindReservation connects the reservation of an address with its endpoint.
func bindReservation(tx *state.Tx, e *Endpoint, a netip.Addr) error {
	r, err := lease.FindReservation(tx, lease.ReservationKey(e.Space, a))
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("the address %s is not reserved any more, because its container did not follow in time; start "+
			"the container again", a)
	}
	if r.Endpoint != "" && r.Endpoint != e.ID {
		return &lease.InUseError{Holder: lease.Lease{Addr: a, Network: r.Network, Reserved: true}}
	}
	r.Endpoint = e.ID
	return lease.PutReservation(tx, r)
}

// join makes the interface in the sandbox.
func (s *Server) join(ctx context.Context, data []byte) (any, error) {
	r, err := readEndpoint(data)
	if err != nil {
		return nil, err
	}
	c, err := s.Networks.Load(r.NetworkID)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(r.SandboxKey); err != nil {
		return nil, fmt.Errorf("the container has no network namespace yet (%w); networks with the driver berth need "+
			"docker 28 or 26.0: "+
			"with this docker use docker run --runtime berth --network none --annotation berth/networks=NAME", err)
	}
	selection, err := c.Selection()
	if err != nil {
		return nil, err
	}
	n, err := s.networkOf(&selection)
	if err != nil {
		return nil, err
	}
	e, err := s.joinedEndpoint(ctx, r)
	if err != nil {
		return nil, err
	}
	e.request(&selection)
	box := hook.Sandbox{
		ID: e.Container, NetNS: r.SandboxKey, Door: e.door(), Reserved: e.Space,
		KeepDefault: true, EngineDefault: e.Space != noSpace,
	}
	if _, err := s.NewHook().Attach(ctx, box, []specs.Selection{selection}); err != nil {
		return nil, err
	}
	return c.gateways(n, &selection), nil
}

// joinedEndpoint returns the endpoint with its container. It releases the attachment of an
// earlier Join whose answer docker did not get.
func (s *Server) joinedEndpoint(ctx context.Context, r *EndpointRequest) (*Endpoint, error) {
	if err := s.releaseEndpoint(ctx, r.EndpointID); err != nil {
		return nil, err
	}
	container := containerIn(r.SandboxKey)
	if container == "" {
		container = r.EndpointID
	}
	var e *Endpoint
	err := s.Store.Update(ctx, func(tx *state.Tx) (err error) {
		if e, err = findEndpoint(tx, r.EndpointID); err != nil {
			return err
		}
		if e == nil || e.Network != r.NetworkID {
			return fmt.Errorf("berth does not know docker's endpoint %s; start the container again", r.EndpointID)
		}
		e.Container = container
		return putEndpoint(tx, e)
	})
	return e, err
}

// releaseEndpoint releases the attachment of an endpoint. It succeeds if there is none.
func (s *Server) releaseEndpoint(ctx context.Context, id string) error {
	var e *Endpoint
	err := s.Store.View(ctx, func(tx *state.Tx) (err error) {
		e, err = findEndpoint(tx, id)
		return err
	})
	if err != nil || e == nil || e.Container == "" {
		return err
	}
	_, err = s.NewHook().Detach(ctx, e.Container, hook.Which{Door: e.door()})
	return err
}

// leave takes the interface back. It succeeds if there is none.
func (s *Server) leave(ctx context.Context, data []byte) (any, error) {
	r, err := readEndpoint(data)
	if err != nil {
		return nil, err
	}
	return done{}, s.releaseEndpoint(ctx, r.EndpointID)
}

// deleteEndpoint forgets an endpoint. It takes back the interface if a Leave was lost.
func (s *Server) deleteEndpoint(ctx context.Context, data []byte) (any, error) {
	r, err := readEndpoint(data)
	if err != nil {
		return nil, err
	}
	if err := s.releaseEndpoint(ctx, r.EndpointID); err != nil {
		return nil, err
	}
	return done{}, s.Store.Update(ctx, func(tx *state.Tx) error {
		e, err := findEndpoint(tx, r.EndpointID)
		if err != nil || e == nil {
			return err
		}
		if err := e.endChosen(tx); err != nil {
			return err
		}
		return deleteEndpoint(tx, r.EndpointID)
	})
}
