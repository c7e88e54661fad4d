package metrics

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// atOnce bounds the concurrent scrapes, and so their memory.
const atOnce = 4

// A scrape ends after writeTimeout, and sooner if its reader takes nothing for
// stallTimeout. If all places are taken, a reader that has taken nothing for
// patience loses its place to the next scrape. A scrape waits for a place for
// placeTimeout: scrapers have a timeout of 10 s by default (Prometheus,
// scrape_timeout).
const (
	writeTimeout = 30 * time.Second
	stallTimeout = 5 * time.Second
	patience     = 250 * time.Millisecond
	placeTimeout = 5 * time.Second
)

// places limits concurrent scrapes. It may be used concurrently.
type places struct {
	free    chan struct{} // a token for each free place
	timeout time.Duration // the time for which a scrape waits for a place

	mu    sync.Mutex
	taken []*place
}

// place is held by one scrape. Its writer records since when it waits for the reader.
type place struct {
	control *http.ResponseController
	to      io.Writer
	end     time.Time

	mu    sync.Mutex
	since time.Time // zero if it does not wait
}

func newPlaces() *places {
	p := &places{free: make(chan struct{}, atOnce), timeout: placeTimeout}
	for range atOnce {
		p.free <- struct{}{}
	}
	return p
}

// takePlace returns a place, or nil if none became free in time.
func (p *places) takePlace(ctx context.Context, w http.ResponseWriter) *place {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	look := time.NewTicker(patience)
	defer look.Stop()
	for {
		select {
		case <-p.free:
			return p.occupyPlace(w)
		case <-look.C:
			p.endStalled()
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *places) occupyPlace(w http.ResponseWriter) *place {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := &place{control: http.NewResponseController(w), to: w, end: time.Now().Add(writeTimeout)}
	p.taken = append(p.taken, taken)
	return taken
}

// freePlace frees a place.
func (p *places) freePlace(of *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = slices.DeleteFunc(p.taken, func(other *place) bool { return other == of })
	p.free <- struct{}{}
}

// endStalled ends the scrape whose reader has taken nothing for the longest time.
func (p *places) endStalled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var stalled *place
	oldest := time.Now().Add(-patience)
	for _, each := range p.taken {
		if since := each.waitingSince(); !since.IsZero() && since.Before(oldest) {
			stalled, oldest = each, since
		}
	}
	if stalled != nil {
		_ = stalled.control.SetWriteDeadline(time.Now()) // a writer without deadlines ends by itself
	}
}

func (p *place) waitingSince() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since
}

func (p *place) setWaiting(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = since
}

// Write passes a piece to the reader, which has stallTimeout to take it.
func (p *place) Write(piece []byte) (int, error) {
	now := time.Now()
	deadline := now.Add(stallTimeout)
	if deadline.After(p.end) {
		deadline = p.end
	}
	_ = p.control.SetWriteDeadline(deadline) // a writer without deadlines needs none
	p.setWaiting(now)
	defer p.setWaiting(time.Time{})
	return p.to.Write(piece)
}
