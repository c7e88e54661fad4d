package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// formerPrefix begins the keys former/D/ID: the former addresses of containers of sticky networks.
const formerPrefix = "former/"

// MaxFormer bounds the containers of a domain whose former addresses are kept: those that were
// started longest ago are forgotten first.
const MaxFormer = 4096

// formerAtOnce is the number of keys in one request. etcd's default limit is 128 operations.
const formerAtOnce = 60

// Former are the addresses that a container's interface last had, on any node. No owner is decided
// by them: a node that wants one takes its block as any other.
type Former struct {
	ID        string       `json:"-"` // of the container's interface: 32 hexadecimal digits
	Node      NodeID       `json:"node"`
	Name      string       `json:"name,omitempty"` // the container's, for people
	Addresses []netip.Addr `json:"addresses"`
}

// FormerPrefix returns the prefix of a domain's former addresses.
func (d Domain) FormerPrefix() string { return formerPrefix + string(d) + "/" }

// DecodeFormer reads an entry below [Domain.FormerPrefix] that another node, or an attacker, has
// written.
func (d Domain) DecodeFormer(e Entry) (f Former, err error) {
	if f.ID, err = d.formerID(e.Key); err != nil {
		return f, err
	}
	if err = decode(e.Value, &f); err != nil {
		return f, err
	}
	if _, err = parseNodeID(string(f.Node)); err != nil {
		return f, err
	}
	invalid := func(a netip.Addr) bool { return !a.IsValid() || a.Zone() != "" }
	if len(f.Name) > maxRowText || len(f.Addresses) > maxRowAddresses || slices.ContainsFunc(f.Addresses, invalid) {
		return f, errors.New("its name is too long, its addresses are too many, or one is invalid")
	}
	return f, nil
}

// formerID returns the last part of a key. It has the form of a node's identity.
func (d Domain) formerID(key string) (string, error) {
	id, err := parseNodeID(strings.TrimPrefix(key, d.FormerPrefix()))
	return string(id), err
}

// PublishFormer writes the former addresses of containers that have started on this node. It does
// nothing before the node has registered.
func (n *Self) PublishFormer(ctx context.Context, d Domain, all []Former) error {
	if n.file.Registered == 0 {
		return nil
	}
	for some := range slices.Chunk(all, formerAtOnce) {
		err := n.publishSome(ctx, d, some)
		for try := 1; errors.Is(err, ErrChanged) && try < attempts; try++ {
			err = n.publishSome(ctx, d, some)
		}
		if err != nil {
			return fmt.Errorf("publish the addresses of sticky containers of domain %q: %w", d, err)
		}
	}
	return nil
}

func (n *Self) publishSome(ctx context.Context, d Domain, some []Former) error {
	var keys []string
	for _, f := range some {
		keys = append(keys, d.FormerPrefix()+f.ID)
	}
	s, err := n.store.List(ctx, keys...)
	if err != nil {
		return err
	}
	was := map[string]int64{}
	for _, e := range s.Entries {
		was[e.Key] = e.Revision
	}
	changes := []Change{{Key: nodePrefix + string(n.file.Node), Was: n.file.Registered}}
	for i, f := range some {
		f.Node, f.Name = n.file.Node, trimmed(f.Name)
		changes = append(changes, Change{Key: keys[i], Was: was[keys[i]], Action: Put, Value: encode(f)})
	}
	_, err = n.store.Swap(ctx, changes...)
	return err
}

// ReadFormer returns the former addresses of a domain's containers whose last node was another one,
// and the store's revision. It deletes the oldest entries if there are more than MaxFormer.
func (n *Self) ReadFormer(ctx context.Context, d Domain) (all []Former, revision int64, err error) {
	s, err := n.store.List(ctx, d.FormerPrefix())
	if err != nil {
		return nil, 0, fmt.Errorf("read the former addresses of domain %q: %w", d, err)
	}
	if err := n.dropFormer(ctx, s); err != nil && !errors.Is(err, ErrChanged) {
		return nil, 0, fmt.Errorf("delete the oldest former addresses of domain %q: %w", d, err)
	}
	for _, e := range s.Entries {
		if f, err := d.DecodeFormer(e); err == nil && f.Node != n.file.Node {
			all = append(all, f)
		}
	}
	return all, s.Revision, nil
}

func (n *Self) dropFormer(ctx context.Context, s Snapshot) error {
	excess := len(s.Entries) - MaxFormer
	if excess <= 0 || n.file.Registered == 0 {
		return nil
	}
	byRevision := func(a, b Entry) int { return cmp.Compare(a.Revision, b.Revision) }
	oldest := slices.SortedFunc(slices.Values(s.Entries), byRevision)
	for some := range slices.Chunk(oldest[:excess], formerAtOnce) {
		changes := []Change{{Key: nodePrefix + string(n.file.Node), Was: n.file.Registered}}
		for _, e := range some {
			changes = append(changes, Change{Key: e.Key, Was: e.Revision, Action: Delete})
		}
		if _, err := n.store.Swap(ctx, changes...); err != nil {
			return err
		}
	}
	return nil
}
