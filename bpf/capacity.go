package bpf

// UnknownCapacity returns how many unknown MACs can be noted at once.
func (m *Maps) UnknownCapacity() (int, error) {
	one, err := m.get(mapUnknown)
	if err != nil {
		return 0, err
	}
	return int(one.MaxEntries()), nil
}
