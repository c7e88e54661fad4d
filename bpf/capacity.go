package bpf

// UnknownCapacity returns the number of unknown MACs for which the map has room.
func (m *Maps) UnknownCapacity() (int, error) {
	one, err := m.get(mapUnknown)
	if err != nil {
		return 0, err
	}
	return int(one.MaxEntries()), nil
}
