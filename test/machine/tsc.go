package machine

import (
	"fmt"
	"sync"
	"time"
)

// tscWords returns the word of the kernel's command line that says how fast the time stamp counter
// is, or none if this machine has no such counter. The emulator's counter is that of this machine.
//
// A kernel without the word measures it by a timer of 10 ms, and takes the shortest of three
// measurements (arch/x86/kernel/tsc.c: pit_calibrate_tsc). If the emulator stands still between
// the start of the timer and the kernel's first look at the counter, as on a loaded machine, the
// measured time is too short, and the kernel's clock runs too fast: once it did ten times.
var tscWords = sync.OnceValue(func() []string {
	if readTSC() == 0 {
		return nil
	}
	return []string{fmt.Sprintf("tsc_early_khz=%d", tscFrequency(200*time.Millisecond))}
})

// tscFrequency measures the frequency of the time stamp counter over a period, in kHz.
func tscFrequency(period time.Duration) uint64 {
	first := takeMoment()
	time.Sleep(period)
	second := takeMoment()
	return (second.tsc - first.tsc) * uint64(time.Millisecond) / uint64(second.at.Sub(first.at))
}

// A moment is a reading of the clock and of the counter.
type moment struct {
	at  time.Time
	tsc uint64
}

// takeMoment returns the best of some readings: that with the shortest time between two readings of
// the clock, in which nothing else can have run.
func takeMoment() (best moment) {
	shortest := time.Hour
	for range 20 {
		before := time.Now()
		tsc := readTSC()
		if took := time.Since(before); took < shortest {
			shortest, best = took, moment{before.Add(took / 2), tsc}
		}
	}
	return best
}
