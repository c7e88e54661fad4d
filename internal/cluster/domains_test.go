package cluster

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/ipam"
	"berth/specs"
)

// openKeys is a lease database without leases.
type openKeys map[string]bool

func (o openKeys) Reset(keys []string) error {
	clear(o)
	for _, key := range keys {
		o[key] = true
	}
	return nil
}
func (o openKeys) Open(key string) error                  { o[key] = true; return nil }
func (o openKeys) Close(key string, _ bool) (bool, error) { delete(o, key); return true, nil }
func (o openKeys) Leased() (map[netip.Addr]bool, error)   { return map[netip.Addr]bool{}, nil }

// openSelf opens a node with a disk.
func openSelf(t *testing.T, store Store, disk Disk, boot string) *Self {
	t.Helper()
	self, err := OpenSelf(SelfConfig{Store: store, Disk: disk, Name: "node1", Boot: boot})
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// newSelf returns a new node.
func newSelf(t *testing.T, store Store) *Self {
	t.Helper()
	return openSelf(t, store, &kept{NewFile()}, "boot")
}

// settledKeeper returns the keeper of a new node that has its block and nothing to do.
func settledKeeper(t *testing.T, store Store, open openKeys) *Keeper {
	t.Helper()
	k := keepOf(t, newSelf(t, store), testDomain, open)
	for range 2 {
		if err := k.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// keepOf returns a keeper of a domain without a clock.
func keepOf(t *testing.T, self *Self, domain Domain, open openKeys) *Keeper {
	t.Helper()
	subnet := specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24"), IPRange: netip.MustParsePrefix("192.0.2.64/26")}
	blocks, err := NewBlocks(ipam.NewPool("lan", subnet, nil), 8)
	if err != nil {
		t.Fatal(err)
	}
	return self.Keep(Config{Leases: open, Domain: domain, Blocks: blocks, Pool: NewPoolText(subnet, 8), Options: Options{KeepFree: 4},
		Now: func() time.Duration { return 0 }})
}

// TestTwoDomains checks that the keepers of two domains share a file without losing each
// other's keys, also over a restart, and that a forgotten node closes the keys of both.
func TestTwoDomains(t *testing.T) {
	t.Parallel()
	ctx, store, disk := context.Background(), newMemory(), Directory(t.TempDir())
	var keepers [2]*Keeper
	open := [2]openKeys{{}, {}}
	for restart := range 2 {
		self := openSelf(t, store, disk, "boot")
		for i, domain := range []Domain{"lan-hq", "voice"} {
			keepers[i] = keepOf(t, self, domain, open[i])
			if err := keepers[i].Start(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for i, k := range keepers {
			if err := k.Round(ctx); err != nil || len(open[i]) != 2 || len(k.file.Held) != 4 {
				t.Errorf("restart %d: %v, open %v, held %v", restart, err, open[i], k.file.Held)
			}
			if due, err := k.Due(); due || err != nil {
				t.Errorf("a quiet keeper is due: %t, %v", due, err)
			}
		}
	}
	if err := keepers[0].Publish(ctx, []Row{{Key: "1/net1", Interface: "net1"}}); err != nil {
		t.Fatal(err)
	}
	if released, err := Forget(ctx, store, keepers[0].ID()); err != nil || len(released) != 4 {
		t.Fatal(released, err)
	}
	for key := range store.entries {
		if !strings.HasSuffix(key, "/pool") {
			t.Errorf("Forget leaves %s", key)
		}
	}
	if err := keepers[0].Round(ctx); !errors.Is(err, ErrForgotten) || len(open[0])+len(open[1]) != 0 {
		t.Errorf("a forgotten node: %v, open %v", err, open)
	}
}

// TestPublish checks that rows are written if they differ, deleted if they end, and found again
// by another process; and that a node without registration writes none.
func TestPublish(t *testing.T) {
	t.Parallel()
	ctx, store, disk := context.Background(), newMemory(), Directory(t.TempDir())
	self := func() *Self { return openSelf(t, store, disk, "boot") }
	rows := func(names ...string) (all []Row) {
		for _, name := range names {
			all = append(all, Row{Key: name + "/net1", Container: name, Interface: "net1"})
		}
		return all
	}
	first := self()
	if err := first.Publish(ctx, rows("a")); err != nil || len(store.entries) != 0 {
		t.Errorf("an unregistered node: %v, %v", err, store.entries)
	}
	if err := first.Register(ctx); err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 3 * rowsAtOnce {
		many = append(many, strings.Repeat("x", i+1))
	}
	for _, s := range []struct {
		by    *Self
		names []string
	}{{first, []string{"a", "b"}}, {first, []string{"b", "c"}}, {self(), []string{"c"}}, {self(), many}} {
		if err := s.by.Publish(ctx, rows(s.names...)); err != nil {
			t.Fatal(err)
		}
		snapshot, _ := store.List(ctx, "")
		f := NewFleet(snapshot)
		var got []string
		for _, r := range f.Rows[first.ID()] {
			got = append(got, r.Container)
		}
		if slices.Sort(s.names); !slices.Equal(got, s.names) || len(f.Bad) > 0 {
			t.Errorf("rows %v, want %v; bad %v", got, s.names, f.Bad)
		}
		revision := store.revision
		if err := s.by.Publish(ctx, rows(s.names...)); err != nil || store.revision != revision {
			t.Errorf("the same rows are written again: %v", err)
		}
	}
}

// TestDuplicates checks which rows of two nodes conflict.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	at := func(domain Domain, addr string, mac byte) Row {
		return Row{Domain: domain, Addresses: []netip.Addr{netip.MustParseAddr(addr)}, MAC: specs.MAC{2, 0, 0, 0, 0, mac}}
	}
	rows := map[NodeID][]Row{
		nodeA: {at("lan", "192.0.2.1", 1), at("lan", "192.0.2.2", 2), at("lan", "192.0.2.3", 3), at("lan", "192.0.2.3", 4)},
		nodeB: {at("lan", "192.0.2.1", 5), at("", "192.0.2.9", 2), at("voice", "192.0.2.3", 6)},
	}
	var got []string
	for r, texts := range Duplicates(rows) {
		got = append(got, r.Addresses[0].String()+": "+strings.Join(texts, " "))
	}
	slices.Sort(got)
	want := []string{"192.0.2.1: 192.0.2.1", "192.0.2.1: 192.0.2.1", "192.0.2.2: 02:00:00:00:00:02", "192.0.2.9: 02:00:00:00:00:02"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFleetChecksInput checks that entries that berth did not write are reported, and that the
// others are read.
func TestFleetChecksInput(t *testing.T) {
	t.Parallel()
	id := string(nodeA)
	good := []Entry{
		{"node/" + id, []byte(`{"name":"node1","boot":"b","since":"2026-11-28T00:00:00Z"}`), 1}, {"alive/" + id, []byte(`{"name":"node1","boot":"b"}`), 2},
		{"domain/lan/pool", []byte(`{"subnet":"192.0.2.0/24","ip_range":"192.0.2.64/26","block":8}`), 3},
		{"domain/lan/block/192.0.2.64", []byte(`{"node":"` + id + `"}`), 4}, {"row/" + id + "/1/net1", []byte(`{"interface":"net1"}`), 5},
	}
	bad := []Entry{
		{"node/x", []byte(`{}`), 6}, {"row/x/1", []byte(`{"interface":"net1"}`), 7}, {"row/" + id + "/2", []byte(`{"interface":"net1","more":1}`), 8},
		{"row/" + id + "/3", []byte(`{"interface":"` + strings.Repeat("x", 600) + `"}`), 9}, {"other", nil, 10},
		{"domain/huge/pool", []byte(`{"subnet":"192.0.2.0/24","ip_range":"192.0.2.0/24","block":1048576}`), 11},
		{"domain/text/pool", []byte(`{"subnet":"192.0.2.0/24","ip_range":"","block":8}`), 12}, {"domain/none/block/192.0.2.64", []byte(`{}`), 13},
		{"domain/lan/block/192.0.2.65", []byte(`{"node":"` + id + `"}`), 14}, {"domain/../pool", []byte(`{}`), 15},
	}
	f := NewFleet(Snapshot{Revision: 15, Entries: slices.Concat(good, bad)})
	if len(f.Bad) != len(bad) {
		t.Errorf("%d entries are reported, want %d: %v", len(f.Bad), len(bad), errors.Join(f.Bad...))
	}
	// The address 192.0.2.65 spoils the claim of its block: no node takes it, and none owns it.
	if blocks, size := f.Pools["lan"].Owned("lan", nodeA); blocks != 0 || size != 0 || len(f.Rows[nodeA]) != 1 || f.Nodes[nodeA].Alive != "b" {
		t.Errorf("%d blocks, %d addresses, rows %v, nodes %v", blocks, size, f.Rows, f.Nodes)
	}
	if id, err := f.FindNode("node1"); id != nodeA || err != nil {
		t.Errorf("FindNode: %s, %v", id, err)
	}
	if _, err := f.FindNode("node2"); err == nil {
		t.Error("FindNode finds a node that does not exist")
	}
}

// TestNewRow checks that other nodes accept each row, whatever an engine calls the container.
func TestNewRow(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"web", "\x01", "<", "ö", "\xff", "w\xffö", "\U0001F409"} {
		for _, n := range []int{0, 1, 511, 512, 513, 10_000} {
			text := strings.Repeat(part, n)
			for _, addresses := range []int{0, maxRowAddresses + 1} {
				r := Row{Container: text, Name: text, Network: text, Interface: text, MAC: specs.MAC{2, 0, 0, 0, 0, 7},
					Addresses: slices.Repeat([]netip.Addr{netip.MustParseAddr("2001:db8:1234:5678:9abc:def0:1234:5678")}, addresses)}
				got, err := decodeRow("key", encode(NewRow(r)))
				if err != nil || n > 0 && got.Name == "" {
					t.Errorf("%d times %q and %d addresses: %v, name %q", n, part, addresses, err, got.Name)
				}
			}
		}
	}
}

// TestManyDuplicates compares rows that an attacker has made alike, as many as etcd's limits permit.
func TestManyDuplicates(t *testing.T) {
	t.Parallel()
	one := netip.MustParseAddr("192.0.2.64")
	var rows []Row
	for range 200_000 {
		rows = append(rows, Row{Addresses: []netip.Addr{one}, Domain: "lan-hq"})
	}
	all := map[NodeID][]Row{nodeA: rows, nodeB: {{Addresses: []netip.Addr{one}, Domain: "other"}}}
	if got := Duplicates(all); len(got) != 0 {
		t.Errorf("%d rows conflict", len(got))
	}
	all[nodeB][0].Domain = ""
	if got := Duplicates(all); len(got) != len(rows)+1 {
		t.Errorf("%d rows conflict", len(got))
	}
}
