package cluster

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"berth/ipam"
	"berth/specs"
)

// Fleet is the checked content of the whole store.
type Fleet struct {
	Nodes map[NodeID]Node
	Pools map[Domain]FleetPool
	Rows  map[NodeID][]Row
	Bad   []error // entries that berth did not write
}

// FleetPool is the pool of one domain.
type FleetPool struct {
	Text   PoolText
	Blocks *Blocks
	View   View
}

// NewFleet checks a snapshot of the whole store.
func NewFleet(s Snapshot) Fleet {
	f := Fleet{Nodes: map[NodeID]Node{}, Pools: map[Domain]FleetPool{}, Rows: map[NodeID][]Row{}}
	domains := map[Domain][]Entry{}
	var nodes []Entry
	for _, e := range s.Entries {
		switch kind, rest, _ := strings.Cut(e.Key, "/"); kind {
		case "domain":
			name, _, _ := strings.Cut(rest, "/")
			domains[Domain(name)] = append(domains[Domain(name)], e)
		case "row":
			f.addRow(rest, e)
		case "former":
			f.addFormer(rest, e)
		default:
			nodes = append(nodes, e)
		}
	}
	v := NewView("", nil, Snapshot{Revision: s.Revision, Entries: nodes})
	f.Nodes, f.Bad = v.Nodes, append(f.Bad, v.Bad...)
	for _, d := range slices.Sorted(maps.Keys(domains)) {
		f.addDomain(d, Snapshot{Revision: s.Revision, Entries: domains[d]})
	}
	return f
}

func (f *Fleet) addRow(rest string, e Entry) {
	name, key, _ := strings.Cut(rest, "/")
	id, err := parseNodeID(name)
	var r Row
	if err == nil {
		r, err = decodeRow(key, e.Value)
	}
	if err != nil {
		f.Bad = append(f.Bad, fmt.Errorf("key %q of the store is invalid: %w", e.Key, err))
		return
	}
	f.Rows[id] = append(f.Rows[id], r)
}

// addFormer checks an entry of the former addresses of a domain.
func (f *Fleet) addFormer(rest string, e Entry) {
	name, _, _ := strings.Cut(rest, "/")
	if _, err := Domain(name).DecodeFormer(e); err != nil {
		f.Bad = append(f.Bad, fmt.Errorf("key %q of the store is invalid: %w", e.Key, err))
	}
}

func (f *Fleet) addDomain(d Domain, s Snapshot) {
	p := FleetPool{}
	i := slices.IndexFunc(s.Entries, func(e Entry) bool { return e.Key == d.poolKey() })
	err := specs.CheckClusterDomain(string(d))
	if err == nil && i < 0 {
		err = fmt.Errorf("the domain has no pool")
	}
	if err == nil {
		p.Text, err = decodePool(s.Entries[i].Value)
	}
	if err == nil {
		p.Blocks, err = p.Text.blocks()
	}
	if err != nil {
		f.Bad = append(f.Bad, fmt.Errorf("domain %q of the store is invalid: %w", d, err))
		return
	}
	p.View = NewView(d, p.Blocks, s)
	f.Bad = append(f.Bad, p.View.Bad...)
	f.Pools[d] = p
}

// blocks returns the blocks of a pool that another node has written.
func (t PoolText) blocks() (*Blocks, error) {
	s := specs.Subnet{}
	var err error
	if s.Subnet, err = netip.ParsePrefix(t.Subnet); err != nil {
		return nil, err
	}
	if s.IPRange, err = netip.ParsePrefix(t.Range); err != nil {
		return nil, err
	}
	if t.Gateway != "" {
		if s.Gateway, err = netip.ParseAddr(t.Gateway); err != nil {
			return nil, err
		}
	}
	for _, text := range t.Exclude {
		e, err := specs.ParseExclusion(text)
		if err != nil {
			return nil, err
		}
		s.Exclude = append(s.Exclude, e)
	}
	n := specs.Network{Name: "pool", Parent: "pool", IPAM: specs.IPAMCluster, Domain: "pool", Block: t.Block,
		Subnets: []specs.Subnet{s}}
	n.SetDefaults()
	if err := n.Check(); err != nil {
		return nil, err
	}
	return NewBlocks(ipam.NewPool("", s, nil), t.Block)
}

// Owned returns the number of blocks that a node owns, and of the addresses in them that can
// be leased. An idle block is owned, too.
func (p FleetPool) Owned(d Domain, id NodeID) (blocks, size int) {
	for key, c := range p.View.Claims {
		if b, ok := p.Blocks.ofKey(d, key); ok && c.Node == id {
			blocks++
			size += p.Blocks.Usable(b)
		}
	}
	return blocks, size
}

// Claimed returns the number of blocks with an owner, and of those the idle ones.
func (p FleetPool) Claimed(d Domain) (claimed, idle int) {
	for key, c := range p.View.Claims {
		if _, ok := p.Blocks.ofKey(d, key); ok {
			claimed++
			if c.Idle {
				idle++
			}
		}
	}
	return claimed, idle
}

// Count returns the number of blocks of a range.
func (b *Blocks) Count() uint64 { return b.last + 1 }

// FindNode returns the identity of a node by its name or ID. The error lists the identities if
// several nodes have the name.
func (f *Fleet) FindNode(name string) (NodeID, error) {
	var found []NodeID
	for id, n := range f.Nodes {
		if n.Name == name || string(id) == name {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	switch {
	case len(found) == 0 && len(name) == 32:
		return parseNodeID(name) // forgotten before, and some keys are left
	case len(found) == 0:
		return "", fmt.Errorf("no node has the name or identity %q; list them: berth cluster nodes", name)
	case len(found) > 1:
		return "", fmt.Errorf("%d nodes have the name %q; use one of their identities: %q", len(found), name, found)
	}
	return found[0], nil
}

// Owns reports whether a node owns the block of an address, or the address itself.
func (p FleetPool) Owns(d Domain, id NodeID, a netip.Addr) bool {
	key := d.staticKey(a)
	if b, ok := p.Blocks.Of(a); ok {
		key = d.blockKey(b)
	}
	return p.View.Claims[key].Node == id
}

// Pool returns the pool that is divided.
func (b *Blocks) Pool() *ipam.Pool { return b.pool }
