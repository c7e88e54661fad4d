package specs

import (
	"slices"
	"strings"
)

// ArgumentNetwork is the flag of berth-hook that requests a network by its name.
const ArgumentNetwork = "--network"

// AddNetworks adds the networks that the hook's arguments name to a selection. A
// CDI device passes its network in this way, because it has no other. A network
// that the selection already names is not added again.
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
		return nil, Invalid(ArgumentNetwork, strings.Join(names, ", "),
			"at most %d networks with those of the annotations", MaxSelections)
	}
	return all, nil
}
