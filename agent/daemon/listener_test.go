package daemon

import (
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"berth/network"
)

// scripted is a source of notifications that fails after its last one.
type scripted struct {
	has    [][]network.Change
	fails  error
	closed chan struct{}
}

func newScripted(fails error, has ...[]network.Change) *scripted {
	return &scripted{has: has, fails: fails, closed: make(chan struct{})}
}

func (s *scripted) Next() ([]network.Change, error) {
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
		one, two := []network.Change{{NSID: -1, Index: 1}}, []network.Change{{NSID: 3, Index: 2}}
		attempts := 0
		var reports []error
		l := newListener(newScripted(errno, one), func() (changeSource, error) {
			if attempts++; attempts == 1 {
				return nil, unix.EMFILE
			}
			return newScripted(nil, two), nil
		}, func(err error) { reports = append(reports, err) })
		for _, want := range [][]network.Change{one, {{NSID: -1, Lost: true}}, two} {
			if got, err := l.nextChanges(); err != nil || !slices.Equal(got, want) {
				t.Errorf("%v: next returned %+v, %v; want %+v", errno, got, err, want)
			}
		}
		if !slices.Equal(reports, []error{errno, unix.EMFILE, nil}) {
			t.Errorf("%v: reported %v", errno, reports)
		}
		go l.close()
		if _, err := l.nextChanges(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v: after close: %v", errno, err)
		}
	}
}

// TestListenerClosesWhileItCannotListen closes the listener while no socket can be opened.
func TestListenerClosesWhileItCannotListen(t *testing.T) {
	t.Parallel()
	tried := make(chan struct{}, 1)
	l := newListener(newScripted(unix.EIO), func() (changeSource, error) {
		tried <- struct{}{}
		return nil, unix.EMFILE
	}, func(error) {})
	go func() {
		<-tried
		close(l.closed)
	}()
	if _, err := l.nextChanges(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}
