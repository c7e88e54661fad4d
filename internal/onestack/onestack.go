// Package onestack makes the stack of the main goroutine large, once, before other packages
// are initialised. A stack that grows step by step is copied each time, and each copy reads
// the tables of all functions on it: 25 pages of a run of berth-hook.
//
// It imports nothing, so that it is initialised early: Go initialises packages by the order
// of their paths, if their imports permit it.
package onestack

// size is more than the main goroutine of berth-hook needs. Pages that it does not reach take
// no memory.
const size = 48 << 10

func init() { reserve(false) }

// reserve has a frame of that size, for which the runtime makes the stack large enough when
// the function is called. The frame is not touched.
//
//go:noinline
func reserve(use bool) {
	if use {
		var frame [size]byte
		fill(&frame)
	}
}

//go:noinline
func fill(frame *[size]byte) {
	for i := range frame {
		frame[i] = 1
	}
}
