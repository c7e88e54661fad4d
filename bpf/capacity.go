package bpf

// UnknownCapacity returns the number of unknown MACs for which the map has room.
func (m *Maps) UnknownCapacity() (int, error) {
	one, err := m.openMap(mapUnknown)
	if err != nil {
		return 0, err
	}
	return int(one.MaxEntries()), nil
}
