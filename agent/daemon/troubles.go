package daemon

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// troubles holds the problems of the agent's own goroutines, by part of the agent. It may
// be used concurrently.
type troubles struct {
	log *slog.Logger

	mu sync.Mutex
	of map[string]string
}

// report stores the problem of a part, or clears it if err is nil. Each text is logged
// once, as long as it stays.
func (t *troubles) report(part string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, had := t.of[part]
	switch {
	case err == nil && had:
		delete(t.of, part)
		t.log.Info("no longer a problem", "what", before)
	case err != nil && before != part+": "+err.Error():
		if t.of == nil {
			t.of = map[string]string{}
		}
		t.of[part] = part + ": " + err.Error()
		t.log.Warn("problem", "what", t.of[part])
	}
}

// all returns the problems, ordered by part.
func (t *troubles) all() (problems []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, part := range slices.Sorted(maps.Keys(t.of)) {
		problems = append(problems, t.of[part])
	}
	return problems
}
