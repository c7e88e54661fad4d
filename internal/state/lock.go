package state

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// defaultWait is how long a lock is waited for when the context has no
// deadline, as an undo has none. Whoever may come with a hundred others has one:
// a hook waits as long as it may run. Transactions take well under a millisecond
// each, and under emulation a hundred hooks at once take five seconds.
const defaultWait = 5 * time.Second

// lock takes flock(2) on a file of the directory, which is made where it is
// missing. The lock goes with the file returned, and with the death of the
// process. It returns ErrBusy at the context's deadline.
func (d *directory) lock(ctx context.Context, name string, how int) (*os.File, error) {
	f, err := d.open(name, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := flock(f, how|unix.LOCK_NB); err {
	case nil:
		return f, nil
	case unix.EWOULDBLOCK:
		if how&unix.LOCK_NB != 0 {
			f.Close()
			return nil, fmt.Errorf("lock %q: %w", f.Name(), ErrBusy)
		}
		return waitLock(ctx, f, how)
	default:
		f.Close()
		return nil, fmt.Errorf("lock %q: %w", f.Name(), err)
	}
}

// waitLock waits in the kernel's queue, not by polling. flock(2) cannot be
// called off, so after the deadline a goroutine gives back what it then gets.
func waitLock(ctx context.Context, f *os.File, how int) (*os.File, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultWait)
		defer cancel()
	}
	got := make(chan error, 1)
	go func() { got <- flock(f, how) }()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %q: %w", f.Name(), err)
		}
		return f, nil
	case <-ctx.Done():
		go func() {
			<-got
			f.Close()
		}()
		return nil, fmt.Errorf("lock %q: %w: %w", f.Name(), ErrBusy, context.Cause(ctx))
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}
