package network

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// errEnded is returned by [Namespace.Do] if fn ended its goroutine
// (runtime.Goexit).
var errEnded = errors.New("the thread in the network namespace has ended")

// inNewNamespace runs fn on a thread in a new network namespace. Thread and
// namespace end with it.
func inNewNamespace(fn func()) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
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

// Do runs fn on a thread in the namespace. For a single system call callIn is enough, which
// needs no thread. Afterwards the thread returns to its namespace, or ends if it cannot.
// Sockets and files that fn opens stay in the namespace; goroutines that it
// starts are not in it. Calls are serialised; fn must not call Do or Open of the
// same namespace.
func (n *Namespace) Do(fn func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
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
