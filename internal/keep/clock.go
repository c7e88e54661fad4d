package keep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// clockWatch is a timer that never expires. The kernel cancels it when CLOCK_REALTIME jumps, which
// it does at the end of a suspension (timekeeping_resume in kernel/time/timekeeping.c,
// timerfd_clock_was_set in fs/timerfd.c).
type clockWatch struct{ file *os.File }

func watchClock() (*clockWatch, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	never := &unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt64}}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, never, nil); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("set timer: %w", err)
	}
	return &clockWatch{os.NewFile(uintptr(fd), "clock")}, nil
}

// wait waits for the next jump of the clock. The error is os.ErrClosed after Close.
func (w *clockWatch) wait() error {
	_, err := w.file.Read(make([]byte, 8))
	if errors.Is(err, unix.ECANCELED) {
		return nil
	}
	return err
}

func (w *clockWatch) Close() error { return w.file.Close() }

// followClock wakes all clients when the machine was suspended: Go's timers stand still
// meanwhile, and leases do not.
func (k *Keeper) followClock(ctx context.Context) {
	clock, err := watchClock()
	if err == nil {
		stop := context.AfterFunc(ctx, func() { clock.Close() })
		defer stop()
		for err = clock.wait(); err == nil; err = clock.wait() {
			k.wakeAll()
		}
	}
	if ctx.Err() == nil {
		k.Log.Warn("the clock is not watched: after a suspension leases are renewed later", "by", longestSleep, "error", err)
	}
}

// wakeAll makes all clients take a turn soon.
func (k *Keeper) wakeAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.clients {
		one.wake()
	}
}
