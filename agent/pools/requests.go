package pools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"berth/internal/cluster"
)

// requests implements cluster.Store. It records of each request whether etcd has answered it.
type requests struct {
	cluster.Store
	note func(error)
}

// requestError is the error of a request that etcd has not answered, or has refused.
type requestError struct{ error }

// Unwrap returns the cause.
func (e requestError) Unwrap() error { return e.error }

// List implements cluster.Store.
func (r requests) List(ctx context.Context, prefixes ...string) (cluster.Snapshot, error) {
	s, err := r.Store.List(ctx, prefixes...)
	return s, r.noted(ctx, err)
}

// Swap implements cluster.Store.
func (r requests) Swap(ctx context.Context, changes ...cluster.Change) (int64, error) {
	revision, err := r.Store.Swap(ctx, changes...)
	return revision, r.noted(ctx, err)
}

// noted records the result of a request, unless its caller has cancelled it.
func (r requests) noted(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, cluster.ErrChanged):
		r.note(nil)
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return err
	}
	r.note(err)
	return requestError{err}
}

// requests returns the store for everything but watches and the presence, which repeat themselves.
func (m *Member) requests() requests { return requests{m.etcd.Load(), m.noteAnswer} }

// noteAnswer records that etcd has answered a request, or the error of one that it has not.
func (m *Member) noteAnswer(err error) {
	m.contact.Lock()
	defer m.contact.Unlock()
	if err == nil {
		m.last, m.lastErr = time.Now(), ""
		return
	}
	m.lastErr = shortError(err)
	m.failures++
}

// failed reports whether etcd has not answered the last request.
func (m *Member) failed() bool {
	m.contact.Lock()
	defer m.contact.Unlock()
	return m.lastErr != ""
}

// explain adds the time of the last answer to the error of a request without one.
func (m *Member) explain(err error) error {
	var unanswered requestError
	if !errors.As(err, &unanswered) {
		return err
	}
	m.contact.Lock()
	defer m.contact.Unlock()
	since := "berthd was started"
	if !m.last.IsZero() {
		since = m.last.Format(time.TimeOnly)
	}
	return fmt.Errorf("etcd has not answered since %s (%s); this node goes on with the addresses that it has",
		since, shortError(err))
}

// shortError returns the cause of a failed request without the client's own words.
func shortError(err error) string {
	return strings.Replace(err.Error(), context.DeadlineExceeded.Error(), "no answer in time", 1)
}
