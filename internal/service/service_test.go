package service

import (
	"errors"
	"log/slog"
	"testing"
)

// TestMainReturnsTheStatus checks the exit status of each way to end, and that serve is called
// only with valid arguments.
func TestMainReturnsTheStatus(t *testing.T) {
	for name, c := range map[string]struct {
		args            []string
		invalid, failed error
		status          int
		served          bool
	}{
		"serves":                 {args: []string{"--log-level", "debug", "--state", "/tmp/state"}, served: true},
		"fails":                  {failed: errors.New("no socket"), status: 1, served: true},
		"prints its help":        {args: []string{"--help"}},
		"prints its version":     {args: []string{"--version"}},
		"has an unknown flag":    {args: []string{"--unknown"}, status: 2},
		"has a wrong level":      {args: []string{"--log-level", "loud"}, status: 2},
		"has an argument":        {args: []string{"start"}, status: 2},
		"has a wrong value":      {invalid: errors.New("--socket: want a path"), status: 2},
		"has a value of its own": {args: []string{"--stay"}, served: true},
	} {
		p := New("berth-test", "v1", "berth-test does nothing.\n")
		stay := p.Flags.Bool("stay", false, "stay")
		served := false
		status := p.Main(c.args, func() error { return c.invalid }, func(*slog.Logger) error {
			served = true
			return c.failed
		})
		if status != c.status || served != c.served {
			t.Errorf("a service that %s: status %d, served %t; want %d, %t", name, status, served, c.status, c.served)
		}
		if name == "has a value of its own" && !*stay {
			t.Error("--stay is not set")
		}
	}
}
