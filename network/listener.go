package network

import (
	"errors"
	"os"
	"sync"
	"time"
)

// ChangeSource is a socket of kernel notifications, such as a *Changes.
type ChangeSource interface {
	Next() ([]Change, error)
	Close() error
}

// relistenPause is the least time between two attempts to reopen the socket.
const relistenPause = time.Second

// Listener receives kernel notifications, and opens a new socket if the old one fails.
// Next is for one goroutine; Close may run concurrently.
type Listener struct {
	open   func() (ChangeSource, error)
	report func(error) // called with a failure, and with nil once it is over
	closed chan struct{}
	again  time.Time // before which no socket is opened; belongs to the goroutine of Next

	mu     sync.Mutex
	source ChangeSource
}

// NewListener returns a listener that reads source and opens replacements with open.
func NewListener(source ChangeSource, open func() (ChangeSource, error), report func(error)) *Listener {
	return &Listener{source: source, open: open, report: report, closed: make(chan struct{})}
}

// Next waits for changes. After a failure it returns a change that means that any
// notification may have been lost. After Close it returns os.ErrClosed.
func (l *Listener) Next() ([]Change, error) {
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
	return []Change{{NSID: -1, Lost: true}}, nil
}

func (l *Listener) currentSource() ChangeSource {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source
}

// relisten replaces the socket as soon as a new one can be opened. It pauses also if each new socket
// fails at once.
func (l *Listener) relisten() error {
	_ = l.currentSource().Close() // it has failed
	for {
		select {
		case <-l.closed:
			return os.ErrClosed
		case <-time.After(time.Until(l.again)):
		}
		l.again = time.Now().Add(relistenPause)
		source, err := l.open()
		if err == nil {
			return l.replaceSource(source)
		}
		l.report(err)
	}
}

func (l *Listener) replaceSource(source ChangeSource) error {
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

// Close ends a pending Next. It is called once.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.closed)
	return l.source.Close()
}
