package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	nodeA = NodeID("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	nodeB = NodeID("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

func blockAt(s string) string { return "domain/lan-hq/block/" + s }

// situation is node A's in a range of four blocks of four, with a MAC prefix.
func situation(t *testing.T, claims ...Claim) Situation {
	t.Helper()
	s := Situation{Node: nodeA, Domain: testDomain, Blocks: testBlocks(t, "192.0.2.64/28", 4),
		Held: map[string]int64{"domain/lan-hq/mac/0101": 5}, Options: Options{KeepFree: 4, IdleAfter: 10 * time.Minute}}
	s.View = View{Revision: 100, Claims: map[string]Claim{"domain/lan-hq/mac/0101": {Key: "domain/lan-hq/mac/0101", Revision: 5, Node: nodeA}}}
	for _, c := range claims {
		s.View.Claims[c.Key] = c
	}
	return s
}

func steps(s Situation) string {
	all, full := Plan(s)
	var text []string
	for _, step := range all {
		text = append(text, fmt.Sprintf("%s %s@%d", step.Verb, step.Key[strings.LastIndex(step.Key, "/")+1:], step.Was))
	}
	if full {
		text = append(text, "full")
	}
	return strings.Join(text, ", ")
}

func claimOf(node NodeID, first string, revision int64) Claim {
	return Claim{Key: blockAt(first), Revision: revision, Node: node}
}

func idle(c Claim) Claim { c.Idle = true; return c }

// TestPlan checks the steps of single situations.
func TestPlan(t *testing.T) {
	t.Parallel()
	others := []Claim{claimOf(nodeB, "192.0.2.64", 1), claimOf(nodeB, "192.0.2.68", 2), claimOf(nodeB, "192.0.2.72", 3)}
	old := map[string]time.Duration{blockAt("192.0.2.76"): time.Hour, blockAt("192.0.2.72"): time.Hour}
	for _, c := range []struct {
		name string
		s    func() Situation
		want string
	}{
		{"the only free block is claimed", func() Situation { return situation(t, others...) }, "take 192.0.2.76@0"},
		{"a start found no address, as another program has the free ones", func() Situation {
			s := situation(t, append(others[:2:2], claimOf(nodeA, "192.0.2.76", 4))...)
			s.Held[blockAt("192.0.2.76")], s.Asked, s.Options.KeepFree = 4, true, 1
			return s
		}, "take 192.0.2.72@0"},
		{"a full pool", func() Situation { return situation(t, append(others, claimOf(nodeB, "192.0.2.76", 4))...) }, "full"},
		{"an answer was lost", func() Situation { return situation(t, claimOf(nodeA, "192.0.2.72", 9)) }, "take 192.0.2.72@9"},
		{"a block that it had is another node's", func() Situation {
			s := situation(t, append(others, claimOf(nodeB, "192.0.2.76", 9))...)
			s.Held[blockAt("192.0.2.76")] = 7
			return s
		}, "lose 192.0.2.76@9, full"},
		{"a held block that the store lists as idle", func() Situation {
			s := situation(t, append(others, idle(claimOf(nodeA, "192.0.2.76", 7)))...)
			s.Held[blockAt("192.0.2.76")] = 7
			return s
		}, "take 192.0.2.76@7"},
		{"a held block that the store lacks", func() Situation {
			s := situation(t, others...)
			s.Held[blockAt("192.0.2.76")] = 7
			return s
		}, "take 192.0.2.76@0"},
		{"a held block that another node had earlier", func() Situation {
			s := situation(t, append(others, claimOf(nodeB, "192.0.2.76", 5))...)
			s.Held[blockAt("192.0.2.76")] = 7
			return s
		}, ""},
		{"a held block at another revision", func() Situation {
			s := situation(t, claimOf(nodeA, "192.0.2.76", 9))
			s.Held[blockAt("192.0.2.76")] = 7
			return s
		}, "take 192.0.2.76@9"},
		{"an empty block beyond keep_free", func() Situation {
			s := situation(t, claimOf(nodeA, "192.0.2.72", 6), claimOf(nodeA, "192.0.2.76", 7))
			s.Held[blockAt("192.0.2.72")], s.Held[blockAt("192.0.2.76")] = 6, 7
			s.EmptyFor = old
			return s
		}, "give back 192.0.2.72@6"},
		{"an empty block beyond keep_free, too soon", func() Situation {
			s := situation(t, claimOf(nodeA, "192.0.2.72", 6), claimOf(nodeA, "192.0.2.76", 7))
			s.Held[blockAt("192.0.2.72")], s.Held[blockAt("192.0.2.76")] = 6, 7
			return s
		}, ""},
		{"idle blocks of an absent node", func() Situation {
			s := situation(t, append(others[1:], idle(others[0]), claimOf(nodeB, "192.0.2.76", 4))...)
			s.Options.ReclaimAfter, s.AbsentFor, s.Asked = time.Hour, map[NodeID]time.Duration{nodeB: time.Hour}, true
			return s
		}, "take 192.0.2.64@1"},
		{"idle blocks of a node that was seen lately", func() Situation {
			s := situation(t, append(others[1:], idle(others[0]), claimOf(nodeB, "192.0.2.76", 4))...)
			s.Options.ReclaimAfter, s.AbsentFor, s.Asked = time.Hour, map[NodeID]time.Duration{nodeB: time.Minute}, true
			return s
		}, "full"},
		{"a quiet node of a network with reclaim_after", func() Situation {
			s := situation(t, claimOf(nodeA, "192.0.2.76", 7))
			s.Held[blockAt("192.0.2.76")], s.EmptyFor, s.Options.ReclaimAfter = 7, old, time.Hour
			return s
		}, "rest 192.0.2.76@7"},
		{"a static address outside of the range", func() Situation {
			s := situation(t, claimOf(nodeA, "192.0.2.76", 7))
			s.Held[blockAt("192.0.2.76")], s.Wanted = 7, []netip.Addr{netip.MustParseAddr("192.0.2.200")}
			return s
		}, "take 192.0.2.200@0"},
		{"an invalid claim is not taken", func() Situation {
			return situation(t, append(others, Claim{Key: blockAt("192.0.2.76")})...)
		}, "full"},
	} {
		if got := steps(c.s()); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOrder checks that each node visits each block once, and that two nodes begin
// elsewhere.
func TestOrder(t *testing.T) {
	t.Parallel()
	b := testBlocks(t, "192.0.2.0/24", 8)
	visited := map[netip.Prefix]bool{}
	for p := range b.Order(nodeA) {
		if again, ok := b.Of(p.Addr()); visited[p] || !ok || again != p {
			t.Errorf("block %s is visited twice, or is none", p)
		}
		visited[p] = true
	}
	if len(visited) != 32 {
		t.Errorf("%d blocks were visited, want 32", len(visited))
	}
	a, c := slices.Collect(b.Order(nodeA)), slices.Collect(b.Order(nodeB))
	if a[0] == c[0] {
		t.Errorf("both nodes begin with %s", a[0])
	}
}

// TestBadValues checks that invalid entries of the store are reported and never taken.
func TestBadValues(t *testing.T) {
	t.Parallel()
	b := testBlocks(t, "192.0.2.64/28", 4)
	good := string(encode(ownerValue{Node: nodeB}))
	for _, c := range []struct{ key, value, claimed string }{
		{blockAt("192.0.2.64"), "", blockAt("192.0.2.64")},
		{blockAt("192.0.2.64"), `{"node":"../x"}`, blockAt("192.0.2.64")},
		{blockAt("192.0.2.64"), good + "x", blockAt("192.0.2.64")},
		{blockAt("192.0.2.64"), `{"node":"` + string(nodeB) + `","x":1}`, blockAt("192.0.2.64")},
		{blockAt("192.0.2.64"), `{"node":"` + strings.Repeat("a", maxValue) + `"}`, blockAt("192.0.2.64")},
		{blockAt("192.0.2.65"), good, blockAt("192.0.2.64")},
		{blockAt("192.0.2.064"), good, ""},
		{blockAt("198.51.100.0"), good, ""},
		{"domain/lan-hq/mac/AB01", good, "domain/lan-hq/mac/ab01"},
		{"domain/lan-hq/x", good, ""},
		{"domain/other/pool", good, ""},
		{"node/x", `{"name":"a","boot":"b"}`, ""},
		{"node/" + string(nodeB), `{"name":"a\u001b[2J","boot":"b"}`, ""},
		{"alive/" + string(nodeB), `{"name":"a","boot":""}`, ""},
	} {
		v := NewView(testDomain, b, Snapshot{Revision: 9, Entries: []Entry{{c.key, []byte(c.value), 3}}})
		if len(v.Bad) != 1 {
			t.Errorf("%s = %.60s: errors %v, want one", c.key, c.value, v.Bad)
		}
		if claim, ok := v.Claims[c.claimed]; c.claimed != "" && (!ok || claim.Node != "") {
			t.Errorf("%s = %.60s: claim %+v (%t), want one without an owner", c.key, c.value, claim, ok)
		}
	}
}

// FuzzView checks that no entry of the store makes a node lose or give back a block that
// is its own, nor claim a block twice.
func FuzzView(f *testing.F) {
	f.Add(blockAt("192.0.2.65"), []byte(`{"node":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}`))
	f.Add("alive/"+string(nodeB), []byte(`{"name":"a","boot":"b"}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		s := situation(t)
		own := Entry{blockAt("192.0.2.76"), encode(ownerValue{Node: nodeA}), 7}
		mac := Entry{"domain/lan-hq/mac/0101", encode(ownerValue{Node: nodeA}), 5}
		if b, _ := netip.ParseAddr(strings.TrimPrefix(key, blockAt(""))); key == own.Key || strings.EqualFold(key, mac.Key) || netip.MustParsePrefix("192.0.2.76/30").Contains(b.WithZone("")) {
			t.Skip()
		}
		s.Held[own.Key] = 7
		s.View = NewView(testDomain, s.Blocks, Snapshot{Revision: 100, Entries: []Entry{own, mac, {key, value, 50}}})
		all, _ := Plan(s)
		for _, step := range all {
			if step.Key == own.Key {
				t.Errorf("key %q = %q: %+v", key, value, step)
			}
		}
	})
}
