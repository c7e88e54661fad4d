package network

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// A thread is an operating system thread that is in a namespace. It never
// comes back: it ends with its goroutine, which never unlocks it.
type thread struct {
	jobs  chan func()
	ended chan struct{}
}

// errEnded is returned by [Namespace.Do] when fn, or one before it, ended its
// goroutine (runtime.Goexit).
var errEnded = errors.New("the thread in the network namespace has ended")

// startThread starts a thread and brings it into the namespace.
func startThread(fd int) (*thread, error) {
	t := &thread{jobs: make(chan func()), ended: make(chan struct{})}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			entered <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		close(entered)
		defer close(t.ended)
		for job := range t.jobs {
			job()
		}
	}()
	return t, <-entered
}

// Do runs fn on a thread that is in the namespace, and is the only way into
// one. The thread is kept for the next time, until the namespace is closed.
// What fn opens stays in the namespace; goroutines that it starts are not in
// it. Calls are made one after the other; fn must not call Do or Open of the
// same namespace.
func (n *Namespace) Do(fn func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.do(fn)
}

// do is Do for those that hold the lock.
func (n *Namespace) do(fn func() error) (err error) {
	if n.thread == nil {
		if n.thread, err = startThread(n.FD()); err != nil {
			n.thread = nil
			return err
		}
	}
	done := make(chan error, 1)
	select {
	case n.thread.jobs <- func() { done <- fn() }:
	case <-n.thread.ended:
		return errEnded
	}
	select {
	case err := <-done:
		return err
	case <-n.thread.ended:
		return errEnded
	}
}
