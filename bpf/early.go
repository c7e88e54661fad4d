package bpf

import (
	"errors"
	"fmt"
	"io/fs"

	"berth/bpf/sys"
	"berth/specs"
)

// AttachParent attaches the programs that the agent has pinned to a parent without them, so
// that the first frame of its first endpoint is counted: the agent would attach only after
// it has read the endpoint's record. It is called in the namespace of the parent, before
// that endpoint can send; attach is as in [Options].
//
// It does nothing if no program is pinned, as without an agent, or after the agent was
// detached on request. The agent takes the parent over.
func (m *Maps) AttachParent(ifindex int, mac specs.MAC, attach string) error {
	if _, _, err := (&Datapath{pins: m.pins, maps: m}).inspectTCX(ifindex); err == nil {
		return nil // the usual case
	}
	err := m.withLock(func() error { return m.attachEarly(ifindex, mac, attach) })
	if err != nil {
		return fmt.Errorf("attach the agent's programs to interface %d: %w", ifindex, err)
	}
	return nil
}

func (m *Maps) attachEarly(ifindex int, mac specs.MAC, attach string) error {
	in, err := m.pins.openProgram(pinIngress)
	if in == nil {
		return err
	}
	defer in.Close()
	out, err := m.pins.openProgram(pinEgress)
	if out == nil {
		return err
	}
	defer out.Close()
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	tc, err := openTC()
	if err != nil {
		return err
	}
	defer tc.Close()
	d := &Datapath{pins: m.pins, maps: m, tc: tc, attach: attach, cookie: cookie, ingress: in, egress: out}
	defer d.releaseLinks()
	if at, err := d.inspectParent(ifindex); err != nil || at.Kind != "" {
		return err
	}
	return d.attachParent(ifindex, mac)
}

// openProgram opens a pinned program, or returns nil if there is none of that name.
func (p pins) openProgram(name string) (*sys.Program, error) {
	one, err := sys.LoadPinnedProgram(p.objectPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("open pinned program %q: %w", name, err)
	}
	return one, nil
}

// removePinned removes the programs pinned for hooks, so that no hook attaches them after it
// has returned.
func (d *Datapath) removePinned() error {
	d.withheld = true
	err := d.maps.withLock(func() error {
		return errors.Join(removePin(d.pins.objectPath(pinIngress)), removePin(d.pins.objectPath(pinEgress)))
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the directory is gone, and with it the programs
	}
	return err
}
