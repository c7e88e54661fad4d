package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"berth/specs"
)

// rowsAtOnce is the number of rows in one transaction. etcd's default limit is 128 operations.
const rowsAtOnce = 64

// Row is an attachment of a node, for people: no owner is decided by it.
type Row struct {
	Key       string       `json:"-"` // of the attachment, on its node
	Container string       `json:"container,omitempty"`
	Name      string       `json:"name,omitempty"`
	Network   string       `json:"network,omitempty"`
	Domain    Domain       `json:"domain,omitempty"` // of a network with a shared pool
	Interface string       `json:"interface"`
	MAC       specs.MAC    `json:"mac,omitzero"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Observed  bool         `json:"observed,omitempty"`
}

func rowsOf(id NodeID) string { return rowPrefix + string(id) + "/" }

// Publish brings this node's rows in the store to the given ones. It does nothing before the
// node has registered.
func (n *Self) Publish(ctx context.Context, rows []Row) error {
	if n.file.Registered == 0 {
		return nil
	}
	if n.rows == nil {
		if err := n.readRows(ctx); err != nil {
			return err
		}
	}
	changes := n.rowChanges(rows)
	for some := range slices.Chunk(changes, rowsAtOnce) {
		if err := n.swapRows(ctx, some); err != nil {
			n.rows = nil
			return fmt.Errorf("publish this node's attachments: %w", err)
		}
	}
	return nil
}

func (n *Self) readRows(ctx context.Context) error {
	s, err := n.store.List(ctx, rowsOf(n.file.Node))
	if err != nil {
		return fmt.Errorf("read this node's published attachments: %w", err)
	}
	n.rows = map[string]Entry{}
	for _, e := range s.Entries {
		n.rows[e.Key] = e
	}
	return nil
}

// rowChanges returns the changes from the published rows to others, in the order of keys.
func (n *Self) rowChanges(rows []Row) (all []Change) {
	want := map[string][]byte{}
	for _, r := range rows {
		want[rowsOf(n.file.Node)+r.Key] = encode(r)
	}
	for key, value := range want {
		if old := n.rows[key]; string(old.Value) != string(value) {
			all = append(all, Change{Key: key, Was: old.Revision, Action: Put, Value: value})
		}
	}
	for key, old := range n.rows {
		if want[key] == nil {
			all = append(all, Change{Key: key, Was: old.Revision, Action: Delete})
		}
	}
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.Key, b.Key) })
	return all
}

func (n *Self) swapRows(ctx context.Context, changes []Change) error {
	registered := Change{Key: nodePrefix + string(n.file.Node), Was: n.file.Registered}
	revision, err := n.store.Swap(ctx, append(slices.Clone(changes), registered)...)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if delete(n.rows, c.Key); c.Action == Put {
			n.rows[c.Key] = Entry{c.Key, c.Value, revision}
		}
	}
	return nil
}

// maxRowAddresses bounds the addresses of a row.
const maxRowAddresses = 64

// decodeRow reads a row that another node, or an attacker, has written.
func decodeRow(key string, value []byte) (r Row, err error) {
	if err := decode(value, &r); err != nil {
		return r, err
	}
	r.Key = key
	for _, text := range []string{r.Container, r.Name, r.Network, r.Interface} {
		if len(text) > maxRowText {
			return r, fmt.Errorf("a text of %d bytes; at most %d are permitted", len(text), maxRowText)
		}
	}
	empty := func(a netip.Addr) bool { return !a.IsValid() }
	if len(r.Addresses) > maxRowAddresses || slices.ContainsFunc(r.Addresses, empty) {
		return r, errors.New("its addresses are too many, or one is empty")
	}
	return r, nil
}

const maxRowText = 512

// trimmed returns a text that decodeRow accepts.
func trimmed(text string) string { return text[:min(len(text), maxRowText)] }

// NewRow returns a row that other nodes accept, whatever an engine calls the container.
func NewRow(r Row) Row {
	r.Container, r.Name = trimmed(r.Container), trimmed(r.Name)
	r.Network, r.Interface = trimmed(r.Network), trimmed(r.Interface)
	r.Addresses = r.Addresses[:min(len(r.Addresses), maxRowAddresses)]
	return r
}

// Duplicates returns, by row, the addresses and MACs that a row of another node has too. Rows
// of networks with different domains share no LAN, as far as is known.
func Duplicates(rows map[NodeID][]Row) map[*Row][]string {
	type holder struct {
		node NodeID
		row  *Row
	}
	by := map[string][]holder{}
	for _, node := range slices.Sorted(maps.Keys(rows)) {
		for i := range rows[node] {
			r := &rows[node][i]
			for _, a := range r.Addresses {
				if !a.IsLinkLocalUnicast() {
					by[a.String()] = append(by[a.String()], holder{node, r})
				}
			}
			if !r.MAC.IsZero() {
				by[r.MAC.String()] = append(by[r.MAC.String()], holder{node, r})
			}
		}
	}
	all := map[*Row][]string{}
	for _, text := range slices.Sorted(maps.Keys(by)) {
		for _, h := range by[text] {
			if slices.ContainsFunc(by[text], func(o holder) bool { return o.node != h.node && mayMeet(h.row, o.row) }) {
				all[h.row] = append(all[h.row], text)
			}
		}
	}
	return all
}

// mayMeet reports whether two rows may be on one LAN: unless both have a domain, and not the
// same one.
func mayMeet(a, b *Row) bool { return a.Domain == b.Domain || a.Domain == "" || b.Domain == "" }
