package e2e

import (
	"sync"
	"testing"

	"berth/test/lab"
)

var onLan = annotations{"berth/networks": "lan"}

// newServedSite returns a site with the network lan and an agent.
func newServedSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	return s
}

// sleeper returns a container on the network lan.
func (s *site) sleeper(name string) lab.Container {
	return lab.Container{ID: s.id(name), Args: []string{"sleep", "600"}, Annotations: onLan}
}

// atOnce calls do for all containers at the same time.
func atOnce(t *testing.T, all []lab.Container, do func(lab.Container) error) {
	t.Helper()
	var wait sync.WaitGroup
	for _, c := range all {
		wait.Go(func() {
			if err := do(c); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
}
