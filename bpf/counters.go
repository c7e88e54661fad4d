package bpf

import (
	"fmt"

	"berth/bpf/sys"
	"berth/specs"
)

// Counters returns the counters of a slot, summed over the CPUs.
func (m *Maps) Counters(slot uint32) (specs.Counters, error) {
	if err := m.reopenReplaced(); err != nil {
		return specs.Counters{}, err
	}
	one, err := m.openMap(mapCounters)
	if err != nil {
		return specs.Counters{}, err
	}
	var cpus []counters
	if err := one.Lookup(slot, &cpus); err != nil {
		return specs.Counters{}, fmt.Errorf("read counters of slot %d: %w", slot, err)
	}
	base, err := m.baseOf(slot)
	if err != nil {
		return specs.Counters{}, err
	}
	counted := sumCounters(cpus)
	base.Counters.addCounters(&counted)
	return base.Counters.toSpecs(), nil
}

// AllCounters returns the counters of the slots 0 to end-1, or of all slots if end is
// larger; the index is the slot.
func (m *Maps) AllCounters(end uint32) ([]specs.Counters, error) {
	all := make([]specs.Counters, 0, min(end, m.Slots()))
	err := m.EachCounters(end, func(_ uint32, c *specs.Counters) { all = append(all, *c) })
	return all, err
}

func sumCounters(cpus []counters) counters {
	var total counters
	for i := range cpus {
		total.addCounters(&cpus[i])
	}
	return total
}

// pinMigrating marks maps that have replaced others whose links and counts are still to be
// taken over.
const pinMigrating = "migrating"

// LacksCounts reports whether the counts of earlier maps are still to be added to these: an agent
// replaces the maps, or was killed while it did. No slot may be drained meanwhile: its final counts
// would be too low, and the next owner of the slot would get the rest.
func (m *Maps) LacksCounts() bool { return !isAbsent(m.pins.objectPath(pinMigrating)) }

// Zero sets the counters and violations of a slot to 0. The caller must have unregistered
// the slot long enough before that every program that had found it has finished; a tenth of
// a second is enough.
func (m *Maps) Zero(slot uint32) error {
	if err := m.reopenReplaced(); err != nil {
		return err
	}
	if m.LacksCounts() {
		return fmt.Errorf("zero slot %d: the counts of earlier maps are not taken over yet; start berthd", slot)
	}
	cpus, err := sys.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if err := m.putElement(mapCounters, slot, make([]counters, cpus)); err != nil {
		return fmt.Errorf("zero slot %d: %w", slot, err)
	}
	if err := m.putElement(mapStates, slot, stateValue{}); err != nil {
		return fmt.Errorf("zero slot %d: %w", slot, err)
	}
	if err := m.zeroViolations(slot); err != nil {
		return fmt.Errorf("zero slot %d: %w", slot, err)
	}
	base, err := m.openBase()
	if err == nil && base != nil {
		err = base.Put(slot, baseValue{})
	}
	if err != nil {
		return fmt.Errorf("zero base of slot %d: %w", slot, err)
	}
	return nil
}

// EventsLost returns the number of events lost to a full ring buffer. They are also in the
// LeftOut of the next event sent.
func (m *Maps) EventsLost() (uint64, error) { return m.lostCount(lostEvents) }

func (m *Maps) lostCount(what uint32) (n uint64, err error) {
	one, err := m.openMap(mapLost)
	if err != nil {
		return 0, err
	}
	if err := one.Lookup(what, &n); err != nil {
		return 0, fmt.Errorf("read the counts of lost events: %w", err)
	}
	return n, nil
}
