package web

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"berth/agent/client"
	"berth/internal/rates"
	"berth/specs"
)

const (
	interval = time.Second // between samples

	// lingers is the time for which sampling goes on after the last viewer left, so that one who
	// reloads the page or comes back soon has the history.
	lingers = 5 * time.Minute

	requestTimeout = 10 * time.Second // of a sample's requests

	// disorder bounds the time by which an event is older than one that the agent sends after it.
	disorder = time.Second

	keptEvents = 1000 // the most events that a new viewer is sent
	networksAt = 5    // samples from one request for the networks to the next
	backlog    = 30   // messages that a slow viewer may be behind before it is cut off
	maxViewers = 100  // pages open at once
)

// Source is the part of the agent's client that the hub uses.
type Source interface {
	Status(context.Context) (specs.AgentStatus, error)
	Endpoints(context.Context) ([]specs.Endpoint, error) // ended ones too
	Networks(context.Context) ([]specs.NetworkStatus, error)
	Events(context.Context, client.Filter) iter.Seq2[specs.Event, error]
	Cluster(context.Context) (specs.ClusterStatus, error)
	Checks() (*Checks, error) // nil if there is none
	Forget()                  // drops the copy of the endpoints; called when there is no viewer
}

// Hub samples the agent once a second for all viewers together. It stops some minutes after
// the last viewer has left.
type Hub struct {
	source Source
	wake   chan struct{} // has an element after the first viewer came

	mu      sync.Mutex
	viewers map[*viewer]bool
	view    *View         // nil before the first sample, and while there is no viewer
	full    []byte        // the whole view for new viewers; nil until one needs it
	sample  *rates.Sample // the last one; nil after a failure
	samples int           // since the first viewer came
	events  []specs.Event // the newest, oldest first
	fresh   []specs.Event // of these, those not sent yet
	begun   bool          // the stream of events is new, and had no event yet
	reset   bool          // the page must replace its events
	facts   facts
	history History
	left    time.Time // when the last viewer left
	linger  time.Duration
}

// errTooMany is the refusal of a viewer beyond maxViewers.
var errTooMany = fmt.Errorf("%d pages are open already; close one", maxViewers)

// viewer is one open page. lines is closed if it is too slow.
type viewer struct{ lines chan []byte }

// NewHub returns a hub. Run must be called for it to send anything.
func NewHub(source Source) *Hub {
	return &Hub{source: source, wake: make(chan struct{}, 1), viewers: make(map[*viewer]bool), linger: lingers}
}

// join adds a viewer, which receives the whole view and then the changes.
func (h *Hub) join() (*viewer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= maxViewers {
		return nil, errTooMany
	}
	v := &viewer{lines: make(chan []byte, backlog)}
	if h.view != nil && h.full == nil {
		sent := len(h.events) - len(h.fresh) // the others come with the next message
		var err error
		if h.full, err = encodeLine(h.view.Full(h.events[:max(0, sent)])); err != nil {
			return nil, err
		}
	}
	if h.view != nil {
		v.lines <- h.full
	}
	h.viewers[v] = true
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return v, nil
}

func (h *Hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
	h.left = time.Now()
}

// isWatched reports whether there is a viewer, or was one a short time ago.
func (h *Hub) isWatched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.viewers) > 0 || time.Since(h.left) < h.linger
}

// Run samples and sends until ctx is done.
func (h *Hub) Run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-h.wake:
			h.serveViewers(ctx)
		case <-ctx.Done():
		}
	}
}

// serveViewers samples while there are viewers.
func (h *Hub) serveViewers(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { h.followEvents(ctx) })
	following.Go(func() { h.followFacts(ctx) })
	defer func() {
		cancel()
		following.Wait()
		h.source.Forget()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.full = nil
		h.view, h.sample, h.events, h.fresh, h.samples, h.history = nil, nil, nil, nil, 0, History{}
		h.begun, h.reset = false, false
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for h.isWatched() {
		h.takeSample(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// takeSample asks the agent and sends the changes.
func (h *Hub) takeSample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	status, err := h.source.Status(ctx)
	var endpoints []specs.Endpoint
	if err == nil {
		endpoints, err = h.source.Endpoints(ctx)
	}
	networks, asked := h.readNetworks(ctx, err)
	now := &rates.Sample{At: time.Now(), Endpoints: endpoints}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.sample = nil
		view := h.view.Unreachable(now.At, err)
		view.Checks, view.Cluster = h.facts.checks, h.facts.cluster
		h.publish(view)
		return
	}
	view := NewView(h.view, h.sample, now, &status)
	view.Checks, view.Cluster = h.facts.checks, h.facts.cluster
	if view.Networks = networks; !asked && h.view != nil {
		view.Networks = h.view.Networks
	}
	h.sample = now
	h.history.Add(view)
	h.publish(view)
}

// readNetworks asks for the networks if it is time to. An older agent has no answer, and then
// there are none.
func (h *Hub) readNetworks(ctx context.Context, failed error) (networks []specs.NetworkStatus, asked bool) {
	h.samples++
	if failed != nil || h.samples%networksAt != 1 {
		return nil, false
	}
	networks, err := h.source.Networks(ctx)
	if err != nil || networks == nil {
		networks = []specs.NetworkStatus{}
	}
	return networks, true
}

// publish sends the changes to every viewer, encoded once. If they cannot be encoded, the page gets
// them with the next view. The caller holds the lock.
func (h *Hub) publish(next *View) {
	line, err := encodeLine(h.nextMessage(next))
	if err != nil {
		line, _ = json.Marshal(map[string]string{"error": err.Error()}) // a string can be encoded
		line = append(line, '\n')
	} else {
		h.view, h.full, h.fresh, h.reset = next, nil, nil, false
	}
	for v := range h.viewers {
		select {
		case v.lines <- line:
		default:
			delete(h.viewers, v)
			close(v.lines)
		}
	}
}

// nextMessage returns the message for the viewers of the last view. The caller holds the lock.
func (h *Hub) nextMessage(next *View) Message {
	if h.view == nil {
		return next.Full(h.events)
	}
	m, changes := next.Since(h.view)
	if !changes {
		m = Message{Time: next.Time} // the page sees that the stream lives
	}
	if m.Reset, m.Events = h.reset, h.fresh; h.reset {
		m.Events = h.events
	}
	return m
}

// followEvents keeps the agent's newest events. It connects again if the agent is
// restarted, or if events came faster than they were read.
func (h *Hub) followEvents(ctx context.Context) {
	for ctx.Err() == nil {
		h.beginEvents()
		for e, err := range h.source.Events(ctx, client.Filter{Follow: true}) {
			if err == nil {
				h.addEvent(e)
			}
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
		}
	}
}

// beginEvents prepares for a new stream, which begins with the events that the agent has kept.
func (h *Hub) beginEvents() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun = true
}

// addEvent adds an event. The first one of a stream replaces the known events that the stream has
// too. Older ones, of an agent that was stopped since then, stay.
func (h *Hub) addEvent(e specs.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.begun {
		isOlder := func(old specs.Event) bool { return e.Time.Sub(old.Time) > disorder }
		known := len(h.events)
		h.events = slices.DeleteFunc(slices.Clone(h.events), func(old specs.Event) bool { return !isOlder(old) })
		h.begun, h.reset = false, h.reset || len(h.events) < known
	}
	h.events = trimEvents(append(h.events, e))
	h.fresh = trimEvents(append(h.fresh, e))
}

// trimEvents keeps the newest events, in an array of its own if it has to drop any.
func trimEvents(all []specs.Event) []specs.Event {
	if len(all) <= 2*keptEvents {
		return all
	}
	return append([]specs.Event(nil), all[len(all)-keptEvents:]...)
}

func encodeLine(m Message) ([]byte, error) {
	line, err := json.Marshal(m)
	return append(line, '\n'), err
}
