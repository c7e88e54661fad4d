package etcd

import (
	"context"
	"testing"
	"time"
)

// patience is the time in which a condition becomes true, also on a loaded machine.
const patience = 3 * time.Minute

func openStore(t *testing.T, urls ...string) *Store {
	t.Helper()
	s, err := Open(Config{Endpoints: urls, Presence: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	waitFor(t, "an answer of etcd", func(ctx context.Context) error { _, err := s.List(ctx, "node/"); return err })
	return s
}

// waitFor repeats a request until it succeeds.
func waitFor(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		err := try(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
