package network

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// errEnded is returned by [Namespace.Do] when fn ended its goroutine
// (runtime.Goexit).
var errEnded = errors.New("the thread in the network namespace has ended")

// inNewNamespace runs fn on a thread in a network namespace of its own. Both end
// with it.
func inNewNamespace(fn func()) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			fn()
		} else {
			err = fmt.Errorf("make a network namespace: %w", err)
		}
		done <- err
	}()
	return <-done
}

// Do runs fn on a thread that is in the namespace, and is the only way into
// one. The thread is brought back afterwards; where it cannot be, it ends. What
// fn opens stays in the namespace; goroutines that it starts are not in it.
// Calls are made one after the other; fn must not call Do or Open of the same
// namespace.
func (n *Namespace) Do(fn func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.do(fn)
}

// do is Do for those that hold the lock. The caller waits meanwhile, so that
// its own thread is mostly the one that goes: none is made or woken for it.
func (n *Namespace) do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errEnded
		defer func() { done <- err }()
		runtime.LockOSThread() // a thread ends with its goroutine unless that is unlocked
		back, openErr := Current()
		if openErr != nil {
			err = openErr
			return
		}
		defer func() {
			if unix.Setns(back.FD(), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			back.Close()
		}()
		if enterErr := unix.Setns(n.FD(), unix.CLONE_NEWNET); enterErr != nil {
			err = fmt.Errorf("enter network namespace: %w", enterErr)
			return
		}
		err = fn()
	}()
	return <-done
}
