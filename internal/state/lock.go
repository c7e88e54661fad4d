package state

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// defaultWait bounds the wait for a lock if the context has no deadline, as that of an
// undo. A caller that may run beside a hundred others has one: a hook waits until its own
// limit. A transaction takes well under a millisecond, and under emulation a hundred
// hooks at once take five seconds.
const defaultWait = 5 * time.Second

// lockedFile is a locked file. It is no os.File: Go's runtime touches a page for the end of each.
type lockedFile struct {
	fd   int
	path string
}

// Close releases the lock.
func (f lockedFile) Close() { _ = unix.Close(f.fd) } // nothing was written

// lockFile takes flock(2) on a file of the directory, and makes the file if needed. The lock
// ends when the returned file is closed or the process ends. At the context's deadline it
// returns ErrBusy.
func (d *directory) lockFile(ctx context.Context, name string, how int) (lockedFile, error) {
	fd, err := d.openFD(name, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return lockedFile{}, err
	}
	f := lockedFile{fd, d.path + "/" + name}
	switch err := flockRetry(fd, how|unix.LOCK_NB); err {
	case nil:
		return f, nil
	case unix.EWOULDBLOCK:
		if how&unix.LOCK_NB != 0 {
			f.Close()
			return lockedFile{}, fmt.Errorf("lock %q: %w", f.path, ErrBusy)
		}
		return waitLock(ctx, f, how)
	default:
		f.Close()
		return lockedFile{}, fmt.Errorf("lock %q: %w", f.path, err)
	}
}

// waitLock waits in the kernel's queue instead of polling. flock(2) cannot be
// interrupted, so after the deadline a goroutine releases the lock that it still gets.
func waitLock(ctx context.Context, f lockedFile, how int) (lockedFile, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultWait)
		defer cancel()
	}
	got := make(chan error, 1)
	go func() { got <- flockRetry(f.fd, how) }()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
			return lockedFile{}, fmt.Errorf("lock %q: %w", f.path, err)
		}
		return f, nil
	case <-ctx.Done():
		go func() {
			<-got
			f.Close()
		}()
		return lockedFile{}, fmt.Errorf("lock %q: %w: %w", f.path, ErrBusy, context.Cause(ctx))
	}
}

func flockRetry(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); err != unix.EINTR {
			return err
		}
	}
}
