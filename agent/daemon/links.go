package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"berth/bpf"
	"berth/network"
	"berth/specs"

	"golang.org/x/sys/unix"
)

// readHostFacts returns the links and addresses of the host.
func readHostFacts(h *network.Handle) (facts hostFacts, err error) {
	if facts.links, err = h.Links(); err != nil {
		return facts, err
	}
	facts.addresses, err = h.AddressInfos()
	return facts, err
}

// planLinks returns the links in the plan's form.
func (f *hostFacts) planLinks() []link {
	links := make([]link, 0, len(f.links))
	for i := range f.links {
		links = append(links, linkOf(&f.links[i]))
	}
	return links
}

// vlansOf returns the VLANs that have a sub-interface of their own; their frames are
// counted there.
func vlansOf(links []link) map[bpf.VLAN]int {
	vlans := make(map[bpf.VLAN]int)
	for _, l := range links {
		if l.vlan != 0 {
			vlans[bpf.VLAN{TrunkIndex: l.trunk, ID: l.vlan}] = l.index
		}
	}
	return vlans
}

// writeVLANs writes the VLANs to the datapath if they have changed. It runs before programs
// are attached, so that no frame is counted twice.
func (a *Agent) writeVLANs(links []link) error {
	vlans := vlansOf(links)
	if a.datapath == nil || a.vlans != nil && maps.Equal(a.vlans, vlans) {
		return nil
	}
	if err := a.datapath.SetVLANs(vlans); err != nil {
		return fmt.Errorf("write the trunks' VLANs to the datapath: %w", err)
	}
	a.vlans = vlans
	return nil
}

// writeHostAddresses writes to the datapath, if they have changed, the host's addresses that the
// containers of each parent cannot reach.
func (a *Agent) writeHostAddresses(facts *hostFacts, parents []specs.ParentStatus) error {
	if a.datapath == nil {
		return nil
	}
	wanted := make(map[int][]netip.Addr)
	for index := range a.isolated {
		wanted[index] = nil
	}
	for _, p := range parents {
		if p.Attach != "" {
			wanted[p.Index] = facts.isolatedAddresses(p.Index)
		}
	}
	written, first := make(map[int][]netip.Addr), a.isolated == nil
	var errs []error
	for index, all := range wanted {
		if first || !slices.Equal(a.isolated[index], all) {
			if err := a.datapath.Maps().SetHostAddresses(index, all); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if all != nil {
			written[index] = all
		}
	}
	a.isolated = written
	return errors.Join(errs...)
}

func linkOf(l *network.LinkInfo) link {
	k := link{
		index: l.Index, name: l.Name, altNames: l.AltNames, mac: l.MAC,
		ethernet: l.Ethernet && !l.Loopback, up: l.Up,
	}
	if l.Kind == "vlan" && l.ParentNSID < 0 {
		k.trunk, k.vlan, k.service = l.ParentIndex, l.VLAN, l.VLANProto == unix.ETH_P_8021AD
	}
	return k
}
