package cluster

import (
	"context"
	"testing"
)

// TestWatching checks that a node watches its registration and its pool's text, that it watches
// blocks only while the pool is full, and that then only a freed block concerns it.
func TestWatching(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), newMemory()
	self := newSelf(t, store)
	k := keepOf(t, self, testDomain, openKeys{})
	if got := k.Watching(); len(got) != 0 {
		t.Errorf("before the first round: %v", got)
	}
	if err := k.Round(ctx); err != nil {
		t.Fatal(err)
	}
	if got := k.Watching(); len(got) != 2 || got[0].Prefix != nodePrefix+string(k.ID()) || got[1].Prefix != testDomain.poolKey() {
		t.Errorf("after a round: %v", got)
	}
	k.full = true
	got := k.Watching()
	if len(got) != 3 || !got[2].Freed {
		t.Fatalf("with a full pool: %v", got)
	}
	owner := ownerValue{Node: k.ID()}
	for _, c := range []struct {
		name  string
		value []byte
		want  bool
	}{
		{"claimed", encode(owner), false},
		{"damaged", []byte("x"), false},
		{"deleted", nil, true},
		{"idle", encode(ownerValue{Node: k.ID(), Idle: true}), true},
	} {
		update := Update{Entries: []Entry{{Value: encode(owner)}, {Value: c.value}}}
		if got[2].Concerns(update) != c.want || !got[0].Concerns(update) {
			t.Errorf("a block that was %s: want %t", c.name, c.want)
		}
	}
}
