package cluster

import (
	"fmt"
	"net/netip"
	"strings"
)

// View is the checked content of the store for one domain, at one revision.
type View struct {
	Revision int64
	Older    bool             // this node has seen a higher revision
	Pool     Entry            // the text of the pool, as stored; Revision 0 if there is none
	Claims   map[string]Claim // by key
	Nodes    map[NodeID]Node
	// Bad are entries that berth did not write. Their keys count as claimed.
	Bad []error
}

// Claim is a block, a static address or a MAC prefix with its owner. A claim whose value
// is invalid has no owner, and no node takes it.
type Claim struct {
	Key      string
	Revision int64
	Node     NodeID
	Idle     bool
}

// Node is a node's registration, and its presence.
type Node struct {
	Registration
	Revision int64  // of the registration; 0 if there is none
	Alive    string // the boot id in its presence, or "" if it is absent
}

// NewView checks a snapshot of a domain's entries and of the nodes.
func NewView(domain Domain, blocks *Blocks, s Snapshot) View {
	v := View{Revision: s.Revision, Claims: map[string]Claim{}, Nodes: map[NodeID]Node{}}
	for _, e := range s.Entries {
		if err := v.add(domain, blocks, e); err != nil {
			v.Bad = append(v.Bad, fmt.Errorf("key %q of the store is invalid: %w", e.Key, err))
		}
	}
	return v
}

func (v *View) add(domain Domain, blocks *Blocks, e Entry) error {
	if id, ok := strings.CutPrefix(e.Key, nodePrefix); ok {
		return v.addNode(id, e)
	}
	if id, ok := strings.CutPrefix(e.Key, alivePrefix); ok {
		return v.addAlive(id, e)
	}
	rest, ok := strings.CutPrefix(e.Key, domain.prefix())
	kind, name, _ := strings.Cut(rest, "/")
	switch {
	case !ok:
		return fmt.Errorf("it is not of the domain %q", domain)
	case rest == "pool":
		v.Pool = e
		return nil
	case kind == "block":
		return v.addBlock(domain, blocks, name, e)
	case kind == "static":
		a, err := netip.ParseAddr(name)
		return v.addClaim(domain.staticKey(a), e, err)
	case kind == "mac":
		p, err := parseMACPrefix(name)
		return v.addClaim(domain.macKey(p), e, err)
	}
	return fmt.Errorf("the kind %q is unknown", kind)
}

// addBlock adds the claim of a block. A key in a block, but not of its first address,
// claims the block too: its writer may use it.
func (v *View) addBlock(domain Domain, blocks *Blocks, name string, e Entry) error {
	block, err := blocks.parseBlock(name)
	if err == nil {
		return v.addClaim(domain.blockKey(block), e, nil)
	}
	if a, _ := netip.ParseAddr(name); a.IsValid() {
		if block, ok := blocks.Of(a); ok {
			v.Claims[domain.blockKey(block)] = Claim{Key: domain.blockKey(block)}
		}
	}
	return err
}

// addClaim adds a claim under the canonical form of its key. If the stored key has another
// form, or the value is invalid, the claim has no owner.
func (v *View) addClaim(canonical string, e Entry, err error) error {
	if err != nil {
		return err
	}
	owner, err := decodeOwner(e.Value)
	if canonical != e.Key && err == nil {
		err = fmt.Errorf("berth writes it as %q", canonical)
	}
	if _, spoilt := v.Claims[canonical]; spoilt || err != nil {
		v.Claims[canonical] = Claim{Key: canonical}
		return err
	}
	v.Claims[canonical] = Claim{Key: canonical, Revision: e.Revision, Node: owner.Node, Idle: owner.Idle}
	return nil
}

func (v *View) addNode(name string, e Entry) error {
	id, err := parseNodeID(name)
	if err != nil {
		return err
	}
	r, err := decodeRegistration(e.Value)
	n := v.Nodes[id]
	n.Registration, n.Revision = r, e.Revision
	v.Nodes[id] = n
	return err
}

func (v *View) addAlive(name string, e Entry) error {
	id, err := parseNodeID(name)
	if err != nil {
		return err
	}
	r, err := decodeRegistration(e.Value)
	if err != nil {
		return err
	}
	n := v.Nodes[id]
	n.Alive = r.Boot
	v.Nodes[id] = n
	return nil
}
