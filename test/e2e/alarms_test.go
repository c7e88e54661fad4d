//go:build engines

package e2e

import (
	"fmt"
	"testing"

	"berth/test/traffic"
)

// quietRounds is the number of rounds in which each container of another program is restarted once and,
// if an engine made it, is connected again.
const quietRounds = 2

// expectNoFalseAlarm lets containers on a network of an engine, and berth's on the same parents, have
// legitimate traffic, and checks that nothing of it is a violation. Then each sends a forged frame,
// which is one.
func expectNoFalseAlarm(t *testing.T, engine string) {
	t.Helper()
	t.Parallel()
	s, err := traffic.NewSite(fmt.Sprint("quiet", sites.Add(1)), bin, engine)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	must(t, s.Start())
	for i := range quietRounds {
		must(t, s.Round(i))
	}
	s.Settle()
	if err := s.CheckQuiet(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.CheckForged(t.Context()); err != nil {
		t.Error(err)
	}
	frames, err := s.Seen(t.Context())
	must(t, err)
	t.Logf("frames of other programs' containers: %v; left out: %v", frames, s.LeftOut)
}

// TestDockerNoFalseAlarm has docker's own containers on the parents of berth's.
func TestDockerNoFalseAlarm(t *testing.T) { expectNoFalseAlarm(t, traffic.ByDocker) }

// TestPodmanNoFalseAlarm has podman's own containers on the parents of berth's.
func TestPodmanNoFalseAlarm(t *testing.T) { expectNoFalseAlarm(t, traffic.ByPodman) }
