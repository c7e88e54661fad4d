package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

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

// DoubtRows makes the next Publish read this node's rows: the store may have been restored.
func (n *Self) DoubtRows() { n.rows = nil }

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
func trimmed(text string) string { return trimmedTo(maxRowText, text) }

// trimmedTo returns at most so many bytes of a text, in whole characters.
func trimmedTo(limit int, text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), limit+utf8.UTFMax)], "?")
	for len(text) > limit {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// NewRow returns a row that other nodes accept, whatever an engine calls the container.
func NewRow(r Row) Row {
	r.Addresses = r.Addresses[:min(len(r.Addresses), maxRowAddresses)]
	for limit := maxRowText; ; limit /= 2 {
		r.Container, r.Name = trimmedTo(limit, r.Container), trimmedTo(limit, r.Name)
		r.Network, r.Interface = trimmedTo(limit, r.Network), trimmedTo(limit, r.Interface)
		if limit == 0 || len(encode(r)) <= maxValue {
			return r
		}
	}
}

// twoNodes are up to two different nodes.
type twoNodes [2]NodeID

func (t *twoNodes) add(id NodeID) {
	switch {
	case t[0] == "" || t[0] == id:
		t[0] = id
	case t[1] == "":
		t[1] = id
	}
}

// hasOther reports whether one of them is not the given one.
func (t *twoNodes) hasOther(id NodeID) bool {
	return t != nil && (t[0] != id && t[0] != "" || t[1] != "")
}

// holders are the rows that have one address or MAC, and the nodes that they are of, by domain.
type holders struct {
	rows     []*Row
	nodes    []NodeID
	all      twoNodes
	inDomain map[Domain]*twoNodes
}

func (h *holders) add(node NodeID, r *Row) {
	h.rows, h.nodes = append(h.rows, r), append(h.nodes, node)
	h.all.add(node)
	if h.inDomain[r.Domain] == nil {
		h.inDomain[r.Domain] = &twoNodes{}
	}
	h.inDomain[r.Domain].add(node)
}

// hasOther reports whether a row of another node may be on the LAN of a row: unless both have a
// domain, and not the same one.
func (h *holders) hasOther(node NodeID, d Domain) bool {
	if d == "" {
		return h.all.hasOther(node)
	}
	return h.inDomain[d].hasOther(node) || h.inDomain[""].hasOther(node)
}

// Duplicates returns, by row, the addresses and MACs that a row of another node has too. Rows
// of networks with different domains share no LAN, as far as is known. Its time grows with the
// number of rows only, whatever an attacker has written to them.
func Duplicates(rows map[NodeID][]Row) map[*Row][]string {
	by := map[string]*holders{}
	add := func(text string, node NodeID, r *Row) {
		if by[text] == nil {
			by[text] = &holders{inDomain: map[Domain]*twoNodes{}}
		}
		by[text].add(node, r)
	}
	for _, node := range slices.Sorted(maps.Keys(rows)) {
		for i := range rows[node] {
			r := &rows[node][i]
			for _, a := range r.Addresses {
				if !a.IsLinkLocalUnicast() {
					add(a.String(), node, r)
				}
			}
			if !r.MAC.IsZero() {
				add(r.MAC.String(), node, r)
			}
		}
	}
	all := map[*Row][]string{}
	for _, text := range slices.Sorted(maps.Keys(by)) {
		h := by[text]
		for i, r := range h.rows {
			if h.hasOther(h.nodes[i], r.Domain) {
				all[r] = append(all[r], text)
			}
		}
	}
	return all
}
