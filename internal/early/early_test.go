package early

import (
	"bytes"
	"sync"
	"testing"
)

// TestMake takes more than all of the memory at once, and requires that no two slices share a byte.
func TestMake(t *testing.T) {
	var wait sync.WaitGroup
	all := make([][]byte, 100)
	for i := range all {
		wait.Go(func() {
			all[i] = append(Make(size/40), bytes.Repeat([]byte{byte(i)}, size/40)...)
		})
	}
	wait.Wait()
	for i, got := range all {
		if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size/40)) || cap(got) != size/40 {
			t.Fatalf("slice %d has been overwritten, or has capacity %d", i, cap(got))
		}
	}
	if got := Make(size + 1); cap(got) != size+1 {
		t.Errorf("capacity %d, want %d", cap(got), size+1)
	}
}
