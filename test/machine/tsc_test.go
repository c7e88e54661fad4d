package machine

import (
	"math"
	"runtime"
	"testing"
	"time"
)

// Two measurements of different length agree: what they find is the counter's frequency, not the
// time that a reading takes.
func TestTSCFrequency(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("only amd64 has the counter")
	}
	short, long := tscFrequency(50*time.Millisecond), tscFrequency(200*time.Millisecond)
	if short < 500_000 || math.Abs(float64(short)/float64(long)-1) > 0.001 {
		t.Errorf("%d kHz and %d kHz", short, long)
	}
}
