package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func formerOf(i int) Former {
	return Former{ID: fmt.Sprintf("%032x", i), Name: fmt.Sprint("web", i),
		Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}}
}

// TestFormer checks that a node reads the former addresses that other nodes have published, the
// last ones of each container, and that it publishes none before it has registered.
func TestFormer(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), newMemory()
	if err := newSelf(t, store).PublishFormer(ctx, testDomain, []Former{formerOf(1)}); err != nil || len(store.entries) != 0 {
		t.Errorf("before the registration: %v, %d entries", err, len(store.entries))
	}
	a, b := settledKeeper(t, store, openKeys{}), settledKeeper(t, store, openKeys{})
	moved := formerOf(1)
	moved.Addresses, moved.Started = []netip.Addr{netip.MustParseAddr("192.0.2.99")}, moved.Started.Add(time.Second)
	for _, one := range []struct {
		by  *Keeper
		all []Former
	}{{a, []Former{formerOf(1), formerOf(2)}}, {b, []Former{moved, formerOf(3)}}} {
		if err := one.by.PublishFormer(ctx, testDomain, one.all); err != nil {
			t.Fatal(err)
		}
	}
	seen := func(by *Keeper) (text string) {
		all, revision, err := by.ReadFormer(ctx, testDomain)
		if err != nil || revision != store.revision {
			t.Fatal(revision, err)
		}
		for _, f := range all {
			text += fmt.Sprintf("%s %s ", f.Name, f.Addresses[0])
		}
		return text
	}
	for _, by := range []*Keeper{a, b} {
		if got := seen(by); got != "web2 192.0.2.2 web1 192.0.2.99 web3 192.0.2.3 " {
			t.Errorf("node %s reads %q", by.ID(), got)
		}
	}
	if f := NewFleet(Snapshot{Entries: entriesOf(store, "")}); len(f.Bad) != 0 {
		t.Errorf("the fleet has %v", f.Bad)
	}
}

func entriesOf(m *memory, prefix string) []Entry {
	s, _ := m.List(context.Background(), prefix)
	return s.Entries
}

// TestLateFormer publishes a start on node a after a later one on node b: a was cut off from the store.
// Times of a clock that is wrong by years do not count, and a node's own starts have their order.
func TestLateFormer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first  string // the node that publishes first; the other one is "b"
		starts [2]time.Duration
		want   string
	}{
		"late":                   {"a", [2]time.Duration{-time.Minute, -time.Hour}, "192.0.2.1"},
		"in order":               {"a", [2]time.Duration{-time.Hour, -time.Minute}, "192.0.2.2"},
		"a clock is far ahead":   {"a", [2]time.Duration{24 * time.Hour, -time.Hour}, "192.0.2.2"},
		"an own clock went back": {"b", [2]time.Duration{-time.Minute, -time.Hour}, "192.0.2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, store := context.Background(), newMemory()
			nodes := map[string]*Keeper{"a": settledKeeper(t, store, openKeys{}), "b": settledKeeper(t, store, openKeys{})}
			for i, by := range []string{c.first, "b"} {
				f := formerOf(1)
				f.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})}
				f.Started = time.Now().Add(c.starts[i])
				if err := nodes[by].PublishFormer(ctx, testDomain, []Former{f}); err != nil {
					t.Fatal(err)
				}
			}
			all, _, err := nodes["a"].ReadFormer(ctx, testDomain)
			if err != nil || len(all) != 1 || all[0].Addresses[0].String() != c.want {
				t.Errorf("read %+v, %v; want %s", all, err, c.want)
			}
		})
	}
}

// TestFormerIsBounded checks that the addresses of the containers that were started longest ago
// are deleted.
func TestFormerIsBounded(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), newMemory()
	a := settledKeeper(t, store, openKeys{})
	var all []Former
	for i := range MaxFormer + 100 {
		all = append(all, formerOf(i))
	}
	if err := a.PublishFormer(ctx, testDomain, all); err != nil {
		t.Fatal(err)
	}
	if all, _, err := a.ReadFormer(ctx, testDomain); err != nil || len(all) != MaxFormer {
		t.Fatal(len(all), err)
	}
	if err := a.TrimFormer(ctx, testDomain); err != nil {
		t.Fatal(err)
	}
	left := entriesOf(store, testDomain.FormerPrefix())
	if len(left) != MaxFormer || strings.HasSuffix(left[0].Key, formerOf(0).ID) {
		t.Errorf("%d are left, from %q", len(left), left[0].Key)
	}
}

// TestBadFormer checks that values which berth did not write are reported, and used by no node.
func TestBadFormer(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), newMemory()
	a := settledKeeper(t, store, openKeys{})
	id := strings.Repeat("0f", 16)
	good := `{"node":"` + string(nodeB) + `","addresses":["192.0.2.1"]}`
	for key, value := range map[string]string{
		id[2:]:                           good,
		strings.ToUpper(id):              good,
		strings.Replace(id, "0", "1", 1): `{"node":"x","addresses":["192.0.2.1"]}`,
		strings.Replace(id, "0", "2", 1): strings.Replace(good, `}`, `,"more":1}`, 1),
		strings.Replace(id, "0", "3", 1): strings.Replace(good, `192.0.2.1`, ``, 1),
		strings.Replace(id, "0", "4", 1): strings.Replace(good, `192.0.2.1`, `fe80::1%eth0`, 1),
		strings.Replace(id, "0", "5", 1): strings.Replace(good, `{`, `{"name":"`+strings.Repeat("x", 600)+`",`, 1),
		strings.Replace(id, "0", "6", 1): strings.Repeat(" ", maxValue) + good,
		strings.Replace(id, "0", "7", 1): "",
	} {
		if _, err := store.Swap(ctx, Change{Key: testDomain.FormerPrefix() + key, Action: Put, Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	entries := entriesOf(store, testDomain.FormerPrefix())
	if all, _, err := a.ReadFormer(ctx, testDomain); err != nil || len(all) != 0 {
		t.Errorf("the node uses %+v, %v", all, err)
	}
	if f := NewFleet(Snapshot{Entries: entries}); len(f.Bad) != len(entries) {
		t.Errorf("of %d invalid values %d are reported: %v", len(entries), len(f.Bad), f.Bad)
	}
}
