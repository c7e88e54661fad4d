package machine

import (
	"math"
	"runtime"
	"testing"
	"time"
)

// TestTSCFrequency compares two measurements of different length. Both find the counter's frequency,
// so the time that a reading takes does not change the result.
func TestTSCFrequency(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("only amd64 has the counter")
	}
	short, long := tscFrequency(50*time.Millisecond), tscFrequency(200*time.Millisecond)
	if short < 500_000 || math.Abs(float64(short)/float64(long)-1) > 0.001 {
		t.Errorf("%d kHz and %d kHz", short, long)
	}
}
