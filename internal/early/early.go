// Package early has memory outside of Go's heap for the first input of a program, which [Make]
// returns. In the heap each size of objects has pages of its own, and each page that a program touches
// first costs it a page fault: of a run of berth-hook they take most of the time.
//
// It imports no other package of berth's.
package early

import "sync/atomic"

// size is more than a state, a configuration and a network need at most starts. Pages that are not
// used take no memory.
const size = 16 << 10

var (
	memory [size]byte
	used   atomic.Int64
)

// Make returns a slice of length 0 and capacity n: of memory that no other call gets, as long as
// there is some, else from the heap. It is safe for concurrent use.
func Make(n int) []byte {
	if n < 0 || n > size {
		return make([]byte, 0, n)
	}
	end := used.Add(int64(n))
	if end > size {
		return make([]byte, 0, n)
	}
	return memory[end-int64(n) : end-int64(n) : end]
}
