package daemon

import (
	"errors"
	"os"
	"sync"
	"time"

	"berth/network"
)

// changeSource is a socket of the kernel's notifications; a *network.Changes is
// one.
type changeSource interface {
	Next() ([]network.Change, error)
	Close() error
}

// relistenPause is the pause between two attempts to open a socket again.
const relistenPause = time.Second

// listener hears the kernel's notifications and opens a new socket if the old one
// fails. next is for one goroutine; close may be called meanwhile.
type listener struct {
	open   func() (changeSource, error)
	report func(error) // of a failure; nil once it is over
	closed chan struct{}

	mu     sync.Mutex
	source changeSource
}

// newListener returns a listener that hears by source and opens others by open.
func newListener(source changeSource, open func() (changeSource, error), report func(error)) *listener {
	return &listener{source: source, open: open, report: report, closed: make(chan struct{})}
}

// next waits for changes. After a failure it returns one that says that any may
// have been lost. The error is os.ErrClosed, after close.
func (l *listener) next() ([]network.Change, error) {
	changes, err := l.current().Next()
	select {
	case <-l.closed:
		return nil, os.ErrClosed
	default:
	}
	if err == nil {
		return changes, nil
	}
	l.report(err)
	if err := l.relisten(); err != nil {
		return nil, err
	}
	l.report(nil)
	return []network.Change{{NSID: -1, Lost: true}}, nil
}

func (l *listener) current() changeSource {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source
}

// relisten replaces the socket, as soon as a new one can be opened.
func (l *listener) relisten() error {
	_ = l.current().Close() // it has failed
	for {
		source, err := l.open()
		if err == nil {
			return l.replace(source)
		}
		l.report(err)
		select {
		case <-l.closed:
			return os.ErrClosed
		case <-time.After(relistenPause):
		}
	}
}

func (l *listener) replace(source changeSource) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.source = source
	select {
	case <-l.closed:
		return errors.Join(os.ErrClosed, source.Close())
	default:
		return nil
	}
}

// close ends a next that waits. It is called once.
func (l *listener) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.closed)
	return l.source.Close()
}
