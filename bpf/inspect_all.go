//go:build !hook

package bpf

import "fmt"

// Attached returns the parents that have both of berth's programs, by interface index, from
// the kernel's present state.
func (d *Datapath) Attached() (map[int]Attachment, error) {
	indices, err := d.knownParents()
	if err != nil {
		return nil, err
	}
	chains, err := netdevChains()
	if err != nil {
		return nil, err
	}
	found := make(map[int]Attachment)
	for _, ifindex := range indices {
		at, err := d.inspectParent(ifindex)
		if err == nil && at.Kind != "" {
			var before []string
			before, err = d.aheadBelow(ifindex, chains)
			at.ProgramsAhead = append(before, at.ProgramsAhead...)
			found[ifindex] = at
		}
		if err != nil {
			return nil, fmt.Errorf("interface %d: %w", ifindex, err)
		}
	}
	return found, nil
}
