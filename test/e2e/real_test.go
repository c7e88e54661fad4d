//go:build engines

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// Tests with this build tag run in trees of Debian that have the engines; see
// test/engines.

// waitAttachedAt waits until an address answers the LAN and is attached.
func (s *site) waitAttachedAt(t *testing.T, address string) specs.Endpoint {
	t.Helper()
	var shown specs.Endpoint
	must(t, lab.Eventually(30*time.Second, func() error {
		if out, err := s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "1", address); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		all := s.ps(t)
		if len(all) != 1 || all[0].Phase != specs.PhaseAttached {
			return fmt.Errorf("berth ps shows %+v, want one attachment", all)
		}
		shown = all[0]
		return nil
	}))
	return shown
}

// waitEmpty waits until no attachment and no lease is left.
func (s *site) waitEmpty(t *testing.T) {
	t.Helper()
	must(t, lab.Eventually(30*time.Second, func() error {
		if all, leases := s.ps(t), s.leases(t); len(all)+len(leases) != 0 {
			return fmt.Errorf("berth ps shows %+v, leases %s, want none", all, leases)
		}
		return nil
	}))
}

// expectDoctorPasses runs berth doctor, which starts a container of the engine, and
// checks that it finds no failure.
func (s *site) expectDoctorPasses(t *testing.T, engine string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := s.Command(ctx, filepath.Join(bin, "berth"), "--config", s.Config, "--state", s.State, "--bpffs", s.BPFFS, "doctor", "--try", engine)
	cmd.Env = append(cmd.Environ(), env...)
	text, err := lab.Output(cmd)
	if err != nil || !strings.Contains(text, engine) {
		t.Errorf("doctor: %v\n%s", err, text)
	}
}
