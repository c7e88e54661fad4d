package specs

import (
	"slices"
	"strings"
)

// ArgumentNetwork is the flag of berth-hook that asks for a network by its name.
const ArgumentNetwork = "--network"

// AddNetworks adds the networks that the hook's arguments name to a selection:
// those of a CDI device, which has no other way to say what it is. One that the
// selection names already is not asked for again.
func AddNetworks(all []Selection, names []string) ([]Selection, error) {
	for _, name := range names {
		if err := CheckNetworkName(name); err != nil {
			return nil, At(ArgumentNetwork, err)
		}
		if !slices.ContainsFunc(all, func(s Selection) bool { return s.Network == name }) {
			all = append(all, Selection{Key: ArgumentNetwork, Network: name})
		}
	}
	if len(all) > MaxSelections {
		return nil, Invalid(ArgumentNetwork, strings.Join(names, ", "), "at most %d networks with those of the annotations", MaxSelections)
	}
	return all, nil
}
