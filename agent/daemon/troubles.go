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

	mu     sync.Mutex
	byPart map[string]string
}

// setProblem stores the problem of a part, or clears it if err is nil. Each text is logged
// once, as long as it stays.
func (t *troubles) setProblem(part string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, had := t.byPart[part]
	switch {
	case err == nil && had:
		delete(t.byPart, part)
		t.log.Info("problem solved", "what", before)
	case err != nil && before != part+": "+err.Error():
		if t.byPart == nil {
			t.byPart = map[string]string{}
		}
		t.byPart[part] = part + ": " + err.Error()
		t.log.Warn("problem", "what", t.byPart[part])
	}
}

// texts returns the problems, ordered by part.
func (t *troubles) texts() (problems []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, part := range slices.Sorted(maps.Keys(t.byPart)) {
		problems = append(problems, t.byPart[part])
	}
	return problems
}
