package bpf

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"berth/specs"
)

// UnknownMAC is a source MAC seen on a parent that belongs to no endpoint: a neighbour on
// the LAN, a bridge of the host's, or a forged one.
type UnknownMAC struct {
	MAC         specs.MAC
	ParentIndex int
	VLAN        int
	First, Last time.Duration // time since the first and the last frame; AgeUnknown limits the resolution of Last
	Ingress     bool          // whether it was seen at ingress
	Egress      bool          // whether it was seen at egress
}

// Unknown returns the unknown MACs in the map, in no order: at most 2,048.
func (m *Maps) Unknown() ([]UnknownMAC, error) {
	one, err := m.openMap(mapUnknown)
	if err != nil {
		return nil, err
	}
	now, err := monotonicNow()
	if err != nil {
		return nil, err
	}
	all := []UnknownMAC{}
	var key endpointKey
	var v unknownValue
	entries := one.Iterate()
	for entries.Next(&key, &v) {
		if _, found, err := m.lookupEndpoint(key); err != nil {
			return nil, err
		} else if found {
			continue // it was registered since
		}
		all = append(all, UnknownMAC{
			MAC: key.MAC, ParentIndex: int(key.IfIndex), VLAN: int(key.VLAN),
			First: now - time.Duration(v.First), Last: now - time.Duration(v.Last),
			Ingress: v.Ways&(1<<ingress) != 0, Egress: v.Ways&(1<<egress) != 0,
		})
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("list unknown MACs: %w", err)
	}
	return all, nil
}

// UnknownOverflow returns how often an unknown MAC was not stored because the map was full
// or the budget for new ones (256 in a tenth of a second, per CPU) was used up. It shows
// that there are more, not how many.
func (m *Maps) UnknownOverflow() (uint64, error) { return m.lostCount(lostUnknown) }

// AgeUnknown deletes the unknown MACs that were not seen for the time keep, and starts a
// new epoch: a MAC is stored once between two calls. The agent calls it about every minute.
func (m *Maps) AgeUnknown(keep time.Duration) error {
	one, err := m.openMap(mapUnknown)
	if err != nil {
		return err
	}
	all, err := m.Unknown()
	if err != nil {
		return err
	}
	for _, u := range all {
		if u.Last < keep {
			continue
		}
		key := endpointKey{MAC: u.MAC, VLAN: uint16(u.VLAN), IfIndex: uint32(u.ParentIndex)}
		if err := one.Delete(key); err != nil {
			return fmt.Errorf("forget unknown MAC %s: %w", u.MAC, err)
		}
	}
	return m.nextEpoch(func(n uint32) uint32 { return n%255 + 1 })
}

// startEpochs enables the storing of unknown MACs, if it is not enabled yet.
func (m *Maps) startEpochs() error {
	return m.nextEpoch(func(n uint32) uint32 { return max(n, 1) })
}

func (m *Maps) nextEpoch(next func(uint32) uint32) error {
	one, err := m.openMap(mapEpoch)
	if err != nil {
		return err
	}
	var n uint32
	err = one.Lookup(uint32(0), &n)
	if err == nil {
		err = one.Update(uint32(0), next(n), unix.BPF_ANY)
	}
	if err != nil {
		return fmt.Errorf("start recording unknown MACs: %w", err)
	}
	return nil
}

// monotonicNow returns the clock of bpf_ktime_get_coarse_ns.
func monotonicNow() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &now); err != nil {
		return 0, fmt.Errorf("read clock: %w", err)
	}
	return time.Duration(now.Nano()), nil
}
