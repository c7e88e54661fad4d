package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// formerPrefix begins the keys former/D/ID: the former addresses of containers of sticky networks.
const formerPrefix = "former/"

// MaxFormer bounds the containers of a domain whose former addresses are kept: those that were
// published longest ago are forgotten first.
const MaxFormer = 4096

// maxClockAhead is how far another node's clock may be ahead: a time further in the future does
// not count.
const maxClockAhead = 10 * time.Minute

// formerAtOnce is the number of keys in one request. etcd's default limit is 128 operations.
const formerAtOnce = 60

// Former are the addresses that a container's interface last had, on any node. No owner is decided
// by them: a node that wants one takes its block as any other.
type Former struct {
	ID        string       `json:"-"` // of the container's interface: 32 hexadecimal digits
	Node      NodeID       `json:"node"`
	Name      string       `json:"name,omitempty"` // the container's, for people
	Addresses []netip.Addr `json:"addresses"`
	// Started is when the container was started, by the clock of its node.
	Started time.Time `json:"started,omitzero"`
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

// PublishFormer writes the former addresses of containers that have started on this node, except of
// those that another node has started since: this node may publish late. It does nothing before the
// node has registered.
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
	was := map[string]Entry{}
	for _, e := range s.Entries {
		was[e.Key] = e
	}
	changes := []Change{{Key: nodePrefix + string(n.file.Node), Was: n.file.Registered}}
	for i, f := range some {
		f.Node, f.Name = n.file.Node, trimmed(f.Name)
		if e := was[keys[i]]; !d.startedSince(f, e) {
			changes = append(changes, Change{Key: keys[i], Was: e.Revision, Action: Put, Value: encode(f)})
		}
	}
	if len(changes) == 1 {
		return nil
	}
	_, err = n.store.Swap(ctx, changes...)
	return err
}

// startedSince reports whether an entry is of a start on another node that was not before f's.
func (d Domain) startedSince(f Former, e Entry) bool {
	other, err := d.DecodeFormer(e)
	return err == nil && other.Node != f.Node && !other.Started.Before(f.Started) &&
		time.Until(other.Started) < maxClockAhead
}

// ReadFormer returns the former addresses of a domain's containers, of at most MaxFormer, and the
// store's revision.
func (n *Self) ReadFormer(ctx context.Context, d Domain) (all []Former, revision int64, err error) {
	s, err := n.store.List(ctx, d.FormerPrefix())
	if err != nil {
		return nil, 0, fmt.Errorf("read the former addresses of domain %q: %w", d, err)
	}
	sortOldestFirst(s.Entries)
	for _, e := range s.Entries[max(0, len(s.Entries)-MaxFormer):] {
		if f, err := d.DecodeFormer(e); err == nil {
			all = append(all, f)
		}
	}
	return all, s.Revision, nil
}

func sortOldestFirst(all []Entry) {
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Compare(a.Revision, b.Revision) })
}

// TrimFormer deletes the former addresses of a domain that were published longest ago, until
// MaxFormer are left. It stops if another node changes one of them meanwhile.
func (n *Self) TrimFormer(ctx context.Context, d Domain) error {
	s, err := n.store.List(ctx, d.FormerPrefix())
	if err == nil && len(s.Entries) > MaxFormer && n.file.Registered != 0 {
		sortOldestFirst(s.Entries)
		err = n.deleteFormer(ctx, s.Entries[:len(s.Entries)-MaxFormer])
	}
	if err != nil && !errors.Is(err, ErrChanged) {
		return fmt.Errorf("delete the oldest former addresses of domain %q: %w", d, err)
	}
	return nil
}

func (n *Self) deleteFormer(ctx context.Context, all []Entry) error {
	for some := range slices.Chunk(all, formerAtOnce) {
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
