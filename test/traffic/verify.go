package traffic

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// fewFrames is a number of frames that one round of traffic exceeds.
const fewFrames = 1000

// CheckQuiet returns an error if the agent has reported or counted a violation, has counted too few
// frames, or does not observe a container of another program.
func (s *Site) CheckQuiet(ctx context.Context) error {
	events, counted, err := s.Alarms(ctx)
	for i := range events {
		err = errors.Join(err, errors.New("false alarm: "+AlarmText(&events[i])))
	}
	if len(counted) > 0 {
		err = errors.Join(err, fmt.Errorf("violations are counted: %v", counted))
	}
	n, failed := s.Frames(ctx)
	if failed == nil && n < fewFrames {
		failed = fmt.Errorf("%d frames are counted, want %d at least", n, fewFrames)
	}
	return errors.Join(err, failed, lab.Eventually(30*time.Second, func() error {
		_, err := s.Seen(ctx)
		return err
	}))
}

// CheckForged lets a container of berth's, and one of each other program, send a frame with a forged
// MAC, and adds an address to the first. It returns an error if not exactly these violations are
// counted, each for the container that caused it: so the site's silence means that there was none.
func (s *Site) CheckForged(ctx context.Context) error {
	c := s.Container("bridge", 1)
	forgers := []Place{c.Place}
	seen := make(map[string]bool)
	for _, o := range s.others {
		if !seen[o.Program] { // the first has no interface of berth's
			seen[o.Program] = true
			forgers = append(forgers, o.Place)
		}
	}
	for i, p := range forgers {
		if err := p.forge([6]byte{2, 0, 0x5e, 0, 0x53, 0x60 + byte(i)}); err != nil {
			return err
		}
	}
	if _, err := c.IP("address", "add", "203.0.113.1/32", "dev", c.IfName); err != nil {
		return err
	}
	return lab.Eventually(30*time.Second, func() error { return s.checkCounted(ctx, forgers) })
}

func (p Place) forge(mac [6]byte) error {
	f, err := p.Forger()
	if err != nil {
		return err
	}
	return errors.Join(f.Send(mac), f.Close())
}

// checkCounted returns an error unless one forged MAC is counted for each of some places, and one
// address for the first.
func (s *Site) checkCounted(ctx context.Context, forgers []Place) error {
	_, counted, err := s.Alarms(ctx)
	if err != nil {
		return err
	}
	if counted[specs.MACSpoof] != uint64(len(forgers)) || counted[specs.AddressDrift] != 1 || len(counted) != 2 {
		return fmt.Errorf("counted %v, want %d forged MACs and an address", counted, len(forgers))
	}
	endpoints, err := s.Client.Endpoints(ctx, true)
	if err != nil {
		return err
	}
	for _, p := range forgers {
		if !slices.ContainsFunc(endpoints, func(e specs.Endpoint) bool {
			hasIt := slices.ContainsFunc(e.Addresses, func(a netip.Prefix) bool { return a.Addr() == p.V4 })
			return hasIt && e.Phase == specs.PhaseAttached && e.Violations[specs.MACSpoof] == 1
		}) {
			return fmt.Errorf("the forged MAC is not counted for the container with %s", p.V4)
		}
	}
	return nil
}
