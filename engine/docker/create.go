package docker

import (
	"context"
	"encoding/json"
	"fmt"

	"berth/internal/config"
	"berth/specs"
)

func (s *Server) createNetwork(_ context.Context, data []byte) (any, error) {
	var c CreateNetwork
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	space, err := c.Space()
	if err != nil {
		return nil, err
	}
	selection, err := c.Selection()
	if err != nil {
		return nil, err
	}
	if err := s.Allow(selection); err != nil {
		return nil, err
	}
	n, err := s.networkOf(&selection)
	if err != nil {
		return nil, err
	}
	if err := s.checkNetwork(&c, selection, n); err != nil {
		return nil, err
	}
	if err := s.checkRanges(space, n); err != nil {
		return nil, err
	}
	return done{}, s.Networks.Save(&c)
}

// checkNetwork refuses a network that does not fit docker's part of it.
func (s *Server) checkNetwork(c *CreateNetwork, selection specs.Selection, n *specs.Network) error {
	if err := c.checkSource(n); err != nil {
		return err
	}
	if c.ByDocker() {
		for _, p := range c.addressPools() {
			selection.IPs = append(selection.IPs, specs.IP{Addr: p.Pool.Addr(), Bits: -1})
		}
		if err := s.Allow(selection); err != nil {
			return err
		}
	}
	return c.checkDefinition(&selection, n)
}

// networkOf returns the network of a selection.
func (s *Server) networkOf(of *specs.Selection) (*specs.Network, error) {
	if of.InPlace != nil {
		return of.InPlace, nil
	}
	n, err := config.Network(s.Dirs.Config, of.Network)
	return n, specs.At("-o "+optionNetwork, err)
}

func (s *Server) deleteNetwork(_ context.Context, data []byte) (any, error) {
	var d DeleteNetwork
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return done{}, s.Networks.Delete(d.NetworkID)
}
