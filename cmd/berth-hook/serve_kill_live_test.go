package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
)

// kills is the number of times at which the service is killed. They are spread over an attach and a release.
const kills = 40

// TestServiceIsKilledAnywhere kills the service at ever later times while it attaches two containers at
// once, and then while it releases them. All succeed by the berth-hook of their client, and leave nothing.
func TestServiceIsKilledAnywhere(t *testing.T) {
	s := newServed(t, `conflict_timeout = "0s"`)
	attach, release := time.Minute, time.Minute
	s.attachAndKill(0, 1, &attach, &release) // it is not killed
	for i := range kills {
		s.attachAndKill(i+1, float64(i)/kills, &attach, &release)
	}
	t.Logf("killed %d times", s.killed)
	if s.killed < kills/8 {
		t.Errorf("the service was killed %d times; most runs had ended before", s.killed)
	}
	there := testnet.Namespace(t)
	if out, err := s.attach("last", there).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := s.addresses(there); got != "192.0.2.1/24" {
		t.Errorf("the next container has %q, want the first address, which is free", got)
	}
	s.release("last")
}

// attachAndKill attaches and releases two containers, and each time kills the service after a share of the
// time that this took so far, if the clients have not ended before.
func (s *served) attachAndKill(round int, share float64, attach, release *time.Duration) {
	s.Helper()
	ids := []string{fmt.Sprint("a", round), fmt.Sprint("b", round)}
	spaces := []*testnet.NS{testnet.Namespace(s), testnet.Namespace(s)}
	after := s.killDuring(share, attach, s.attach(ids[0], spaces[0]), s.attach(ids[1], spaces[1]))
	a, b := s.addresses(spaces[0]), s.addresses(spaces[1])
	if strings.Count(a+b, "/24") != 2 || a == b {
		s.Errorf("killed after %s: addresses %q and %q, want one each", after, a, b)
	}
	after = s.killDuring(share, release, s.poststop(ids[0]), s.poststop(ids[1]))
	if left := s.addresses(spaces[0]) + s.addresses(spaces[1]); left != "" {
		s.Errorf("killed after %s: the containers have %q after their release", after, left)
	}
}

// killDuring runs clients at once, and kills the service after a share of the shortest time that such took
// without a kill. Afterwards a service runs.
func (s *served) killDuring(share float64, shortest *time.Duration, clients ...*exec.Cmd) (after time.Duration) {
	s.Helper()
	after = time.Duration(share * float64(*shortest))
	began := time.Now()
	for _, cmd := range clients {
		cmd.Stderr = new(bytes.Buffer)
		if err := cmd.Start(); err != nil {
			s.Fatal(err)
		}
	}
	service := s.service.Process
	kill := time.AfterFunc(after, func() { _ = service.Kill() })
	for _, cmd := range clients {
		if err := cmd.Wait(); err != nil {
			s.Errorf("killed after %s: %v: %s", after, err, cmd.Stderr)
		}
	}
	if kill.Stop() {
		*shortest = min(*shortest, time.Since(began))
		return after
	}
	s.killed++
	s.stopService()
	s.startService()
	return after
}
