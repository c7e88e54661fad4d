package main

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"berth/internal/state"
)

// followClock moves the clock of this process forward or back in turn, at each SIGUSR2.
func followClock() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR2)
	go func() {
		for by := 3 * time.Hour; ; by = -by {
			<-signals
			state.ShiftClock(by)
		}
	}()
}

// moveClock moves the clock of a process of followClock.
func moveClock(p *exec.Cmd) error { return p.Process.Signal(syscall.SIGUSR2) }
