package random

import (
	"bytes"
	"testing"
)

func TestReadFillsAll(t *testing.T) {
	for _, size := range []int{0, 1, 6, atOnce, atOnce + 1, 4 * atOnce} {
		changed := make([]byte, size)
		for range 64 { // each byte differs from zero at least once
			b := make([]byte, size)
			Read(b)
			for i, c := range b {
				changed[i] |= c
			}
		}
		if bytes.IndexByte(changed, 0) >= 0 {
			t.Errorf("not all of %d bytes are random", size)
		}
	}
}
