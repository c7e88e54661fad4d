package state

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAskersLeaveTheLockAlone requires that a key has one holder although two processes have asked at
// the same time whether it has one ([Store.Held]).
func TestAskersLeaveTheLockAlone(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "state"))
	ask := func() (answered func()) {
		answered, err := s.lockKey(t.Context(), KeeperKey, unix.LOCK_SH|unix.LOCK_NB)
		if err != nil {
			t.Fatal(err)
		}
		return answered
	}
	first, second := ask(), ask()
	first()
	unlock, err := s.TryHold(KeeperKey)
	second()
	if errors.Is(err, ErrBusy) { // by the second one
		unlock, err = s.TryHold(KeeperKey)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TryHold(KeeperKey); !errors.Is(err, ErrBusy) {
		t.Errorf("a second holder gets %v, want ErrBusy", err)
	}
	unlock()
	if left, err := s.SweepHolds(t.Context()); err != nil || left != 0 {
		t.Errorf("%d files of locks are left, %v", left, err)
	}
}
