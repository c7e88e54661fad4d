package daemon

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// troubles are problems of the agent's own goroutines, by the part of the agent
// that has one. It may be used concurrently.
type troubles struct {
	log *slog.Logger

	mu sync.Mutex
	of map[string]string
}

// report stores the problem of a part, or that it has none if err is nil. The log
// has each text once, as long as it stays.
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
