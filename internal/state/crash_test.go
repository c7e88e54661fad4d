package state_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"berth/internal/state"
)

// Environment variables that make this test binary another process on a store.
const (
	workerDir    = "BERTH_TEST_STORE"  // makes the process a worker
	workerNumber = "BERTH_TEST_WORKER" // distinguishes workers
	holderDir    = "BERTH_TEST_HOLDER" // makes the process hold the key "k"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(workerDir); dir != "" {
		if err := claimAndFreeSlots(state.Open(dir)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(holderDir); dir != "" {
		_, err := state.Open(dir).Hold(context.Background(), "k")
		fmt.Println("holds", err)
		_ = syscall.Pause() // until it is killed
	}
	os.Exit(m.Run())
}

// claimAndFreeSlots claims and frees slots, each with its own record, and prints each after its
// commit, until it is killed.
func claimAndFreeSlots(s *state.Store) error {
	number, err := strconv.ParseUint(os.Getenv(workerNumber), 10, 64)
	if err != nil {
		return err
	}
	var held []*state.Attachment
	for i := uint64(0); ; i++ {
		if i%3 == 2 {
			drop := held[0]
			held = held[1:]
			err := s.Update(context.Background(), func(tx *state.Tx) error {
				return errors.Join(tx.FreeSlot(drop.Slot), tx.Delete(drop.Key()))
			})
			if err != nil {
				return err
			}
			fmt.Println("freed", drop.Slot)
			continue
		}
		a := attachment(number<<32+i, "net1", fmt.Sprint("worker", number))
		err := s.Update(context.Background(), func(tx *state.Tx) (err error) {
			if a.Slot, err = tx.ClaimSlot(1 << 20); err != nil {
				return err
			}
			return tx.Put(a)
		})
		if err != nil {
			return err
		}
		held = append(held, a)
		fmt.Println("claimed", a.Slot)
	}
}

// settled is the number of lines that a worker prints before its lifetime is
// measured, so that it is killed during its work even on a slow machine.
const settled = 4

// runWorker runs a worker for some time after it has settled, kills it and returns
// its output.
func runWorker(t *testing.T, dir string, number int, lifetime time.Duration) (said []string) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), workerDir+"="+dir, workerNumber+"="+strconv.Itoa(number))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var why strings.Builder
	cmd.Stderr = &why
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Error(err)
		return nil
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said = append(said, lines.Text()); len(said) == settled {
			time.AfterFunc(lifetime, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // "signal: killed"
	if cmd.ProcessState.Exited() {
		t.Errorf("worker %d ended by itself: %s", number, &why)
	}
	return said
}

// TestProcessesKilledAtRandom runs four workers at a time, kills them at
// random moments, and starts others in their place.
func TestProcessesKilledAtRandom(t *testing.T) {
	t.Parallel()
	const places, lives = 4, 10
	dir := filepath.Join(t.TempDir(), "berth")
	said := make([][]string, places*lives)
	var wg sync.WaitGroup
	for place := range places {
		wg.Go(func() {
			for life := range lives {
				n := place*lives + life
				said[n] = runWorker(t, dir, n, rand.N(30*time.Millisecond))
			}
		})
	}
	wg.Wait()
	checkWhole(t, filepath.Join(dir, "state", state.NameDB))
	checkSlots(t, state.Open(dir), said)
}

// checkWhole runs bbolt's own check of every page of the database.
func checkWhole(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error {
		var errs []error
		for err := range tx.Check() {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Error(err)
	}
}

// checkSlots checks that each slot is in one record only, that every record's slot is
// claimed, and that each worker's printed slots are held: its last transaction may
// have been committed without a line.
func checkSlots(t *testing.T, s *state.Store, said [][]string) {
	t.Helper()
	total := 0
	owner := map[uint32]string{}
	byWorker := make([]map[uint32]bool, len(said))
	mustUpdate(t, s, func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if other := owner[a.Slot]; other != "" || a.Slot == 0 {
				t.Errorf("slot %d is %s's and %s's", a.Slot, other, a.Key())
			}
			owner[a.Slot] = a.Key()
			n := a.Cookie >> 32
			if byWorker[n] == nil {
				byWorker[n] = map[uint32]bool{}
			}
			byWorker[n][a.Slot] = true
		}
		for range len(owner) + 10 { // every slot outside the records can be claimed
			slot, err := tx.ClaimSlot(1 << 20)
			if err != nil {
				return err
			}
			if owner[slot] != "" {
				t.Errorf("slot %d of %s could be claimed", slot, owner[slot])
			}
		}
		return nil
	})
	for n, lines := range said {
		holds := map[uint32]bool{}
		for _, line := range lines {
			var slot uint32
			verb := ""
			if _, err := fmt.Sscan(line, &verb, &slot); err != nil {
				t.Fatalf("worker %d said %q", n, line)
			}
			if total++; verb == "claimed" {
				holds[slot] = true
			} else {
				delete(holds, slot)
			}
		}
		if missing, more := difference(holds, byWorker[n]); missing+more > 1 {
			t.Errorf("worker %d: %d slots it holds are not recorded, %d are that it did not say", n, missing, more)
		}
	}
	if total < settled*len(said) {
		t.Errorf("%d workers said only %d things: they met nothing", len(said), total)
	}
}

func difference(a, b map[uint32]bool) (missing, more int) {
	for x := range a {
		if !b[x] {
			missing++
		}
	}
	for x := range b {
		if !a[x] {
			more++
		}
	}
	return missing, more
}

// TestHoldEndsWithItsProcess kills a process that holds a key.
func TestHoldEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderDir+"="+filepath.Dir(s.Dir()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var why strings.Builder
	cmd.Stderr = &why
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if !s.Held("k") {
		t.Error("not held while its process lives")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if s.Held("k") {
		t.Error("held after its process was killed")
	}
}

// TestSweepHolds sweeps after one process was killed and while another holds a key.
func TestSweepHolds(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if n, err := s.SweepHolds(t.Context()); n != 0 || err != nil {
		t.Errorf("before there was a hold: %d, %v", n, err)
	}
	unlock, err := s.Hold(t.Context(), state.Key(1, "net1"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Dir(), "attaching")
	dead := []string{"0000000000000002@net1", "namespace 0000000000000002"} // left by kill -9
	for _, name := range dead {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.SweepHolds(t.Context()); n != len(dead) || err != nil {
		t.Errorf("%d swept, %v; want %d", n, err, len(dead))
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "0000000000000001@net1" {
		t.Errorf("left %v (%v), want what is held", left, err)
	}
	if !s.Held(state.Key(1, "net1")) {
		t.Error("no longer held")
	}
	unlock()
}
