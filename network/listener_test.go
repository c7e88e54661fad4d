package network

import (
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// scripted is a source of notifications that fails after its last one.
type scripted struct {
	has    [][]Change
	fails  error
	closed chan struct{}
}

func newScripted(fails error, has ...[]Change) *scripted {
	return &scripted{has: has, fails: fails, closed: make(chan struct{})}
}

func (s *scripted) Next() ([]Change, error) {
	if len(s.has) > 0 {
		next := s.has[0]
		s.has = s.has[1:]
		return next, nil
	}
	if s.fails == nil {
		<-s.closed
		return nil, os.ErrClosed
	}
	return nil, s.fails
}

func (s *scripted) Close() error {
	close(s.closed)
	return nil
}

// TestListenerRecovers fails the socket with errors that a kernel may return, and the first
// attempt to open another.
func TestListenerRecovers(t *testing.T) {
	t.Parallel()
	for _, errno := range []unix.Errno{unix.ENOMEM, unix.EBADF, unix.EIO, unix.ECONNREFUSED} {
		one, two := []Change{{NSID: -1, Index: 1}}, []Change{{NSID: 3, Index: 2}}
		attempts := 0
		var reports []error
		l := NewListener(newScripted(errno, one), func() (ChangeSource, error) {
			if attempts++; attempts == 1 {
				return nil, unix.EMFILE
			}
			return newScripted(nil, two), nil
		}, func(err error) { reports = append(reports, err) })
		for _, want := range [][]Change{one, {{NSID: -1, Lost: true}}, two} {
			if got, err := l.Next(); err != nil || !slices.Equal(got, want) {
				t.Errorf("%v: next returned %+v, %v; want %+v", errno, got, err, want)
			}
		}
		if !slices.Equal(reports, []error{errno, unix.EMFILE, nil}) {
			t.Errorf("%v: reported %v", errno, reports)
		}
		go l.Close()
		if _, err := l.Next(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v: after close: %v", errno, err)
		}
	}
}

// TestListenerClosesWhileItCannotListen closes the listener while no socket can be opened.
func TestListenerClosesWhileItCannotListen(t *testing.T) {
	t.Parallel()
	tried := make(chan struct{}, 1)
	l := NewListener(newScripted(unix.EIO), func() (ChangeSource, error) {
		tried <- struct{}{}
		return nil, unix.EMFILE
	}, func(error) {})
	go func() {
		<-tried
		close(l.closed)
	}()
	if _, err := l.Next(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

// broken is a source of notifications whose every read fails.
type broken struct{}

func (broken) Next() ([]Change, error) { return nil, unix.ENOMEM }
func (broken) Close() error            { return nil }

// TestListenerPauses fails each socket at once, as a kernel without memory may: the listener must not
// occupy a processor.
func TestListenerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		open := func() (ChangeSource, error) { opened++; return broken{}, nil }
		l := NewListener(broken{}, open, func(error) {})
		const minute = 60
		time.AfterFunc(minute*time.Second, func() { _ = l.Close() })
		for {
			some, err := l.Next()
			if errors.Is(err, os.ErrClosed) {
				break
			}
			if !slices.Equal(some, []Change{{NSID: -1, Lost: true}}) || err != nil {
				t.Fatalf("Next returned %+v, %v", some, err)
			}
			if opened > minute+1 {
				t.Fatalf("%d sockets opened within a minute", opened)
			}
		}
		if opened < minute-1 {
			t.Errorf("%d sockets opened in a minute", opened)
		}
	})
}
