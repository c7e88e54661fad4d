package daemon

import (
	"context"
	"testing"
	"time"

	"berth/specs"
)

// TestRecentStatus reads the state of an agent whose loop does not answer. Only an old state makes the
// backend wait for the loop.
func TestRecentStatus(t *testing.T) {
	b := backend{&Agent{requests: make(chan request)}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, of := range map[string]struct {
		age      time.Duration
		problems int
	}{"recent": {0, 0}, "old": {recentFor + time.Minute, 1}} {
		b.status.Store(&specs.AgentStatus{LastReconciled: time.Now().Add(-of.age)})
		got, err := b.RecentStatus(ctx)
		if err != nil || len(got.Problems) != of.problems {
			t.Errorf("%s: problems %q, %v, want %d", name, got.Problems, err, of.problems)
		}
	}
	if got, err := b.Status(ctx); err != nil || len(got.Problems) != 1 {
		t.Errorf("status: problems %q, %v, want one", got.Problems, err)
	}
}
