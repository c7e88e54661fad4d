package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/internal/hostshim"
	"berth/internal/plumb"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

func emptyFacts() *Facts {
	return &Facts{
		Links: map[string]bool{}, Parents: map[string]*network.Parent{}, MakeVLAN: map[string]int{},
		VLANs: map[string][]state.VLAN{}, Occupants: map[string][]network.Occupant{},
	}
}

// gatherFacts reads the facts of a plan from the kernel and the records.
func (h *Hook) gatherFacts(ctx context.Context, c *container, requests []Request) (*Facts, error) {
	f := emptyFacts()
	f.Container, f.Name, f.Leave, f.AlwaysNew = c.ids[0], containerName(c), c.keepDefault, c.door != nil
	f.NoDefault = c.noDefault
	links, err := c.inside.Links()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces of the container: %w", err)
	}
	for _, l := range links {
		for _, name := range append(l.AltNames, l.Name) {
			f.Links[name] = true
		}
	}
	if f.Default[ipv4], f.Default[ipv6], err = c.inside.HasDefaultRoute(); err != nil {
		return nil, fmt.Errorf("read the default routes of the container: %w", err)
	}
	if f.Host, err = h.host.Addresses(); err != nil {
		return nil, fmt.Errorf("list the addresses of the host: %w", err)
	}
	for i := range requests {
		r := &requests[i]
		if err := h.gatherParent(f, r.Net); err != nil {
			return nil, r.At(err)
		}
		if err := h.gatherOccupants(f, r.Net); err != nil {
			return nil, err
		}
	}
	err = h.Store.View(ctx, func(tx *state.Tx) error {
		h.sample = release.ReadSample(tx)
		if f.Existing, err = tx.InNamespace(c.cookie); err == nil {
			f.MayHaveMoved, err = mayHaveMoved(tx, f)
		}
		return err
	})
	f.Pending = c.pendingNetwork(requests, links, f.Existing)
	return f, err
}

// mayHaveMoved reports whether a parent may be back from another network namespace, with
// another index: it has no attachments yet although other parents have, or it is recorded with
// another index for an attachment or a host shim.
func mayHaveMoved(tx *state.Tx, f *Facts) (bool, error) {
	shims, err := hostshim.All(tx)
	if err != nil || slices.ContainsFunc(shims,
		func(r *hostshim.Record) bool { return hasOldIndex(r.Parent, r.ParentIndex, f.Parents) }) {
		return err == nil, err
	}
	if _, last := tx.Cookies(); last == 0 {
		return false, nil
	}
	for name, p := range f.Parents {
		at := state.Attachment{ParentIndex: p.Index, TrunkIndex: p.TrunkIndex, VLAN: p.VLAN}
		if id := f.MakeVLAN[name]; id != 0 {
			at = state.Attachment{TrunkIndex: p.Index, VLAN: id}
		}
		if user, err := tx.OneInDomain(at.Domain()); err != nil || user == nil {
			return err == nil, err
		}
	}
	all, err := tx.Domains()
	return slices.ContainsFunc(all, func(a *state.Attachment) bool {
		return hasOldIndex(a.Parent, a.ParentIndex,
			f.Parents)
	}), err
}

// hasOldIndex reports whether one of the parents has that name and another index.
func hasOldIndex(name string, index int, parents map[string]*network.Parent) bool {
	for _, p := range parents {
		if name == p.Name && index != 0 && index != p.Index {
			return true
		}
	}
	return false
}

// gatherParent finds the parent of a network, or the trunk if the parent is a
// VLAN that does not exist yet.
func (h *Hook) gatherParent(f *Facts, n *specs.Network) error {
	p, id, err := h.host.ParentOrTrunk(n.Parent)
	if f.Parents[n.Parent] = p; err != nil {
		return h.explainParent(n, err)
	}
	if f.VLANs[n.Parent], err = plumb.Chain(h.host, p, id, n.Parent); err != nil {
		return fmt.Errorf("parent %q: %w", n.Parent, err)
	}
	f.MakeVLAN[n.Parent] = id
	return nil
}

// gatherOccupants finds the other interfaces on the parent of an ipvlan network.
func (h *Hook) gatherOccupants(f *Facts, n *specs.Network) (err error) {
	if n.Driver != specs.IPvlan {
		return nil
	}
	if f.Occupants[n.Parent], err = h.host.Occupants(f.Parents[n.Parent].Index); err != nil {
		return fmt.Errorf("list the interfaces on parent %q: %w", n.Parent, err)
	}
	return nil
}

func (h *Hook) explainParent(n *specs.Network, err error) error {
	trunk, _, isVLAN := specs.SplitVLAN(n.Parent)
	_, _, isNested := specs.SplitVLAN(trunk)
	switch {
	case errors.Is(err, network.ErrNoLink) && isVLAN && isNested:
		return fmt.Errorf("parent %q%s: its trunk %q does not exist, and berth makes only the inner VLAN of two; this "+
			"host has %s",
			n.Parent, networkSuffix(n), trunk, h.linkNames())
	case errors.Is(err, network.ErrNoLink):
		return fmt.Errorf("parent %q%s does not exist; this host has %s", n.Parent, networkSuffix(n), h.linkNames())
	case errors.Is(err, network.ErrNotEthernet), errors.Is(err, network.ErrStacked), errors.Is(err, network.ErrVLAN):
		return fmt.Errorf("parent %q%s cannot carry interfaces: %w", n.Parent, networkSuffix(n), err)
	}
	return fmt.Errorf("parent %q: %w", n.Parent, err)
}

func networkSuffix(n *specs.Network) string {
	if n.Name == "" {
		return ""
	}
	return fmt.Sprintf(" of network %q", n.Name)
}

func (h *Hook) linkNames() string {
	links, err := h.host.Links()
	if err != nil {
		return "interfaces that cannot be listed: " + err.Error()
	}
	var names []string
	for _, l := range links {
		if l.Name != "lo" {
			names = append(names, l.Name)
		}
	}
	return strings.Join(names, ", ")
}

// containerName returns the name that a container keeps when it is started again.
func containerName(c *container) string {
	for _, keys := range [][]string{
		{namespaceCRIO, "io.kubernetes.pod.name"}, // first, because containerd lets no pod write it
		{namespaceContainerd, "io.kubernetes.cri.sandbox-name"},
		{"nerdctl/namespace", "nerdctl/name"},
	} {
		if name := c.names[keys[1]]; name != "" {
			return c.names[keys[0]] + "/" + name
		}
	}
	return c.ids[0]
}
