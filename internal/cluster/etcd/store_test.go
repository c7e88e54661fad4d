package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"berth/internal/cluster"
	"berth/internal/testnet"
)

func put(key, value string, was int64) cluster.Change {
	return cluster.Change{Key: key, Was: was, Action: cluster.Put, Value: []byte(value)}
}

// TestSwap checks the outcomes of transactions: created, refused as it exists, replaced,
// refused by a condition, deleted.
func TestSwap(t *testing.T) {
	t.Parallel()
	s := openStore(t, testnet.EtcdURLs(testnet.StartEtcd(t, 1))...)
	ctx := t.Context()
	first, err := s.Swap(ctx, put("a", "1", 0))
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Swap(ctx, put("a", "2", first), put("b", "1", 0))
	if err != nil || second <= first {
		t.Fatal(second, err)
	}
	for _, changes := range [][]cluster.Change{
		{put("a", "3", 0)},
		{put("a", "3", first)},
		{{Key: "c", Was: 1}, put("a", "3", second)},
		{put("a", "3", second), {Key: "b", Was: first, Action: cluster.Delete}},
	} {
		if _, err := s.Swap(ctx, changes...); !errors.Is(err, cluster.ErrChanged) {
			t.Errorf("Swap(%v) = %v, want ErrChanged", changes, err)
		}
	}
	if _, err := s.Swap(ctx, cluster.Change{Key: "c"}, cluster.Change{Key: "b", Was: second, Action: cluster.Delete}); err != nil {
		t.Fatal(err)
	}
	got, err := s.List(ctx, "a", "b")
	if err != nil || len(got.Entries) != 1 || got.Entries[0].Key != "a" || string(got.Entries[0].Value) != "2" ||
		got.Entries[0].Revision != second || got.Revision != second+1 {
		t.Errorf("List = %+v, %v", got, err)
	}
}

// TestWatch checks that updates arrive whole and in order, and that a watch from a
// compacted revision is refused.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := openStore(t, testnet.EtcdURLs(testnet.StartEtcd(t, 1))...)
	ctx, cancel := context.WithCancel(t.Context())
	first, err := s.Swap(ctx, put("d/a", "1", 0), put("d/b", "1", 0), put("e", "1", 0))
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Swap(ctx, put("d/a", "2", first), cluster.Change{Key: "d/b", Was: first, Action: cluster.Delete})
	if err != nil {
		t.Fatal(err)
	}
	var got []cluster.Update
	err = s.Watch(ctx, "d/", first-1, func(u cluster.Update) {
		if got = append(got, u); u.Revision == second {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(got) != 2 || len(got[0].Entries) != 2 || len(got[1].Entries) != 2 {
		t.Fatalf("Watch: %v, %+v", err, got)
	}
	deleted := slices.IndexFunc(got[1].Entries, func(e cluster.Entry) bool { return e.Key == "d/b" })
	if deleted < 0 || got[1].Entries[deleted].Value != nil {
		t.Errorf("the deletion is %+v", got[1])
	}
	if _, err := s.current.client.Compact(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(t.Context(), "d/", first-1, nil); !errors.Is(err, cluster.ErrCompacted) {
		t.Errorf("Watch after compaction: %v, want ErrCompacted", err)
	}
}

// TestPresence checks that a presence ends with its context, and with its process.
func TestPresence(t *testing.T) {
	t.Parallel()
	urls := testnet.EtcdURLs(testnet.StartEtcd(t, 1))
	s, other := openStore(t, urls...), openStore(t, urls...)
	present := func(want int) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := other.List(ctx, "alive/")
			if err == nil && len(got.Entries) != want {
				err = fmt.Errorf("%d presences, want %d", len(got.Entries), want)
			}
			return err
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Present(ctx, "alive/a", []byte("x")) }()
	waitFor(t, "presence", present(1))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	waitFor(t, "end of the presence", present(0))

	go func() { ended <- s.Present(t.Context(), "alive/a", []byte("x")) }()
	waitFor(t, "presence", present(1))
	s.Close() // as a killed process does
	<-ended
	waitFor(t, "end of the presence by its lease", present(0))
}

// TestOnePrefix checks that a store sees only keys below its prefix.
func TestOnePrefix(t *testing.T) {
	t.Parallel()
	s := openStore(t, testnet.EtcdURLs(testnet.StartEtcd(t, 1))...)
	if _, err := s.current.client.Put(t.Context(), "/other", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), put("a", "1", 0)); err != nil {
		t.Fatal(err)
	}
	all, err := s.current.client.Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil || len(all.Kvs) != 2 || string(all.Kvs[0].Key) != "/berth/v1/a" {
		t.Errorf("keys of etcd: %v, %v", all, err)
	}
	if got, err := s.List(t.Context(), ""); err != nil || len(got.Entries) != 1 {
		t.Errorf("List = %+v, %v", got, err)
	}
}
