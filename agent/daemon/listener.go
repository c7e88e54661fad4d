package daemon

import (
	"errors"
	"os"
	"sync"
	"time"

	"berth/network"
)

// changeSource is a socket of kernel notifications, such as a *network.Changes.
type changeSource interface {
	Next() ([]network.Change, error)
	Close() error
}

// relistenPause is the pause between two attempts to reopen the socket.
const relistenPause = time.Second

// listener receives kernel notifications, and opens a new socket if the old one fails.
// nextChanges is for one goroutine; close may run concurrently.
type listener struct {
	open   func() (changeSource, error)
	report func(error) // called with a failure, and with nil once it is over
	closed chan struct{}

	mu     sync.Mutex
	source changeSource
}

// newListener returns a listener that reads source and opens replacements with open.
func newListener(source changeSource, open func() (changeSource, error), report func(error)) *listener {
	return &listener{source: source, open: open, report: report, closed: make(chan struct{})}
}

// nextChanges waits for changes. After a failure it returns a change that means that any
// notification may have been lost. After close it returns os.ErrClosed.
func (l *listener) nextChanges() ([]network.Change, error) {
	changes, err := l.currentSource().Next()
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

func (l *listener) currentSource() changeSource {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source
}

// relisten replaces the socket as soon as a new one can be opened.
func (l *listener) relisten() error {
	_ = l.currentSource().Close() // it has failed
	for {
		source, err := l.open()
		if err == nil {
			return l.replaceSource(source)
		}
		l.report(err)
		select {
		case <-l.closed:
			return os.ErrClosed
		case <-time.After(relistenPause):
		}
	}
}

func (l *listener) replaceSource(source changeSource) error {
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

// close ends a pending nextChanges. It is called once.
func (l *listener) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.closed)
	return l.source.Close()
}
