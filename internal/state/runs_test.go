package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"berth/internal/state"
)

var errDone = errors.New("done")

// inScratch runs fn in a transaction that is rolled back.
func inScratch(t testing.TB, s *state.Store, fn func(tx *state.Tx)) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		fn(tx)
		return errDone
	})
	if !errors.Is(err, errDone) {
		t.Fatal(err)
	}
}

func number(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// checkRuns compares the set with a map after each operation. An operation is two
// bytes, the first of which selects it, over 256 numbers at either end of the
// range of two bytes.
func checkRuns(t testing.TB, s *state.Store, ops []byte, base uint16) {
	inScratch(t, s, func(tx *state.Tx) {
		bucket := tx.Bucket("runs")
		runs, model := state.NewRuns(bucket), map[uint16]bool{}
		for ; len(ops) > 1; ops = ops[2:] {
			n := base + uint16(ops[1])
			if ops[0]%2 == 0 {
				model[n] = true
				if err := runs.Add(number(n)); err != nil {
					t.Fatal(err)
				}
			} else {
				delete(model, n)
				if err := runs.Remove(number(n)); err != nil {
					t.Fatal(err)
				}
			}
			if runs.Has(number(n)) != model[n] {
				t.Fatalf("has %d: %v, want %v", n, !model[n], model[n])
			}
			want := lowestFree(model, base, base+255)
			if got := runs.Free(number(base)); string(got) != string(want) {
				t.Fatalf("lowest free from %d: %v, want %v", base, got, want)
			}
		}
		stored := 0
		for k, _ := bucket.Cursor().First(); k != nil; k, _ = bucket.Cursor().Seek(append(bytes.Clone(k), 0)) {
			stored++
		}
		if want := countRuns(model); stored != want {
			t.Fatalf("%d runs are stored, want %d", stored, want)
		}
	})
}

func lowestFree(model map[uint16]bool, first, last uint16) []byte {
	for n := first; ; n++ {
		if !model[n] {
			return number(n)
		}
		if n == last {
			return map[bool][]byte{true: nil, false: number(last + 1)}[last == 0xffff]
		}
	}
}

func countRuns(model map[uint16]bool) (runs int) {
	for n := range model {
		if n == 0 || !model[n-1] {
			runs++
		}
	}
	return runs
}

func TestRunsAgainstASet(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 4000)
		for i := range ops {
			ops[i] = byte(random.Uint32())
			if i%2 == 0 && seed%2 == 0 && random.IntN(3) > 0 {
				ops[i] &^= 1 // fuller sets
			}
		}
		checkRuns(t, s, ops, []uint16{0, 0xff00, 1000}[seed%3])
	}
}

func TestRunsFullToTheLast(t *testing.T) {
	t.Parallel()
	var ops []byte
	for n := range 256 {
		ops = append(ops, 0, byte(n))
	}
	checkRuns(t, newStore(t), ops, 0xff00)
}

func FuzzRuns(f *testing.F) {
	f.Add([]byte{0, 1, 0, 3, 0, 2, 1, 2, 1, 9}, uint16(0))
	f.Add([]byte{0, 255, 0, 254, 1, 255}, uint16(0xff00))
	s := newStore(f)
	f.Fuzz(func(t *testing.T, ops []byte, base uint16) {
		checkRuns(t, s, ops[:min(len(ops), 400)], min(base, 0xff00))
	})
}

func TestSlots(t *testing.T) {
	t.Parallel()
	inScratch(t, newStore(t), func(tx *state.Tx) {
		for want := uint32(1); want < 5; want++ {
			if got, err := tx.ClaimSlot(5); got != want || err != nil {
				t.Fatalf("claimed %d, %v; want %d", got, err, want)
			}
		}
		if got, err := tx.ClaimSlot(5); !errors.Is(err, state.ErrNoSlot) {
			t.Fatalf("claimed %d, %v; want ErrNoSlot", got, err)
		}
		if err := errors.Join(tx.FreeSlot(3), tx.FreeSlot(2), tx.FreeSlot(2)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []uint32{2, 3} {
			if got, err := tx.ClaimSlot(5); got != want || err != nil {
				t.Fatalf("claimed %d, %v; want %d, the lowest free", got, err, want)
			}
		}
	})
}
