package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"berth/agent/client"
	"berth/specs"
)

// fakeAgent is a source that tests set.
type fakeAgent struct {
	mu        sync.Mutex
	endpoints []specs.Endpoint
	networks  []specs.NetworkStatus
	down      error
	asked     int
	forgotten int
	events    chan specs.Event
	cluster   *specs.ClusterStatus
	checks    *Checks
}

func (f *fakeAgent) Cluster(context.Context) (specs.ClusterStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *f.cluster, f.down
}

func (f *fakeAgent) Checks() (*Checks, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.checks, f.down
}

func (f *fakeAgent) Status(context.Context) (specs.AgentStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	status := *counting()
	status.Cluster = f.cluster != nil
	return status, f.down
}

func (f *fakeAgent) Endpoints(context.Context) ([]specs.Endpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.endpoints, f.down
}

func (f *fakeAgent) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgotten++
}

func (f *fakeAgent) Networks(context.Context) ([]specs.NetworkStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.networks, f.down
}

func (f *fakeAgent) Events(ctx context.Context, _ client.Filter) iter.Seq2[specs.Event, error] {
	return func(yield func(specs.Event, error) bool) {
		for {
			select {
			case e, ok := <-f.events:
				if !ok || !yield(e, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (f *fakeAgent) set(down error, all ...specs.Endpoint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down, f.endpoints = down, all
}

func (f *fakeAgent) timesAsked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// serveFake serves the page for a fake agent, and returns its address.
func serveFake(t *testing.T, f *fakeAgent) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	g := &Guard{Token: testToken}
	go func() { served <- Serve(ctx, l, g, f, "", "", slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// openFeed returns the messages of a viewer.
func openFeed(t *testing.T, address string) <-chan Message {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", address+"/feed", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookieName, Value: (&Guard{Token: testToken}).session()})
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("feed: %v, %v", answer, err)
	}
	all := make(chan Message, 100)
	ended := make(chan struct{})
	t.Cleanup(func() { <-ended })
	go func() {
		defer close(ended)
		defer answer.Body.Close()
		defer close(all)
		for lines := bufio.NewReader(answer.Body); ; {
			line, err := lines.ReadBytes('\n')
			var m Message
			if err != nil {
				return
			}
			if err := json.Unmarshal(line, &m); err != nil {
				t.Errorf("decode %s: %v", line, err)
				return
			}
			if err := validate("page-feed", line); err != nil {
				t.Errorf("%.300s: %v", line, err)
			}
			select {
			case all <- m:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return all
}

// waitMessage returns the first message with a property.
func waitMessage(t *testing.T, all <-chan Message, name string, has func(Message) bool) Message {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case m, ok := <-all:
			if !ok {
				t.Fatalf("the stream ended before a message with %s", name)
			}
			if has(m) {
				return m
			}
		case <-deadline:
			t.Fatalf("no message with %s in a minute", name)
		}
	}
}

func TestFeed(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{events: make(chan specs.Event)}
	f.set(nil, endpointOf("web", 1))
	address := serveFake(t, f)
	first := openFeed(t, address)
	isFull := func(m Message) bool { return m.Full }
	if m := waitMessage(t, first, "the whole view", isFull); len(m.Rows) != 1 || m.Rows[0].Name != "web" || !m.Agent.Up {
		t.Errorf("first message %+v", m)
	}
	f.mu.Lock()
	f.networks = []specs.NetworkStatus{{Network: &specs.Network{Name: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, IPAM: specs.IPAMLocal, IPv6: specs.IPv6Off}, Pools: []specs.PoolStatus{}}}
	f.mu.Unlock()
	hasNetwork := func(m Message) bool { return len(m.Networks) == 1 && m.Networks[0].Name == "lan" }
	waitMessage(t, first, "a new network", hasNetwork)
	f.events <- eventOf("web")
	hasEvent := func(m Message) bool { return len(m.Events) > 0 }
	if m := waitMessage(t, first, "an event", hasEvent); m.Events[0].Kind != specs.MACSpoof {
		t.Errorf("events %+v", m.Events)
	}
	second := openFeed(t, address)
	if m := waitMessage(t, second, "the whole view", isFull); len(m.Rows) != 1 || len(m.Events) != 1 || !hasNetwork(m) {
		t.Errorf("first message of a later viewer %+v", m)
	}
	f.set(errors.New("no agent"))
	for _, viewer := range []<-chan Message{first, second} {
		m := waitMessage(t, viewer, "the agent gone", func(m Message) bool { return m.Agent != nil && !m.Agent.Up })
		if m.Agent.Problem != "no agent" || len(m.Removed) > 0 {
			t.Errorf("message %+v", m)
		}
	}
	f.set(nil, endpointOf("web", 1), endpointOf("db", 2))
	m := waitMessage(t, first, "the agent back", func(m Message) bool { return m.Agent != nil && m.Agent.Up })
	if len(m.Rows) != 1 || m.Rows[0].Name != "db" {
		t.Errorf("message after the return %+v", m)
	}
}

func TestNoViewerNoRequest(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{events: make(chan specs.Event)}
	h := NewHub(f)
	h.linger = 0
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	v, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	<-v.lines
	h.leave(v)
	cancel()
	running.Wait()
	if h.view != nil || f.timesAsked() == 0 || f.forgotten != 1 {
		t.Errorf("view %+v after the last viewer left, %d requests, copy dropped %d times", h.view, f.timesAsked(), f.forgotten)
	}
}

func TestSlowViewerIsCutOff(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{events: make(chan specs.Event)}
	h := NewHub(f)
	slow, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	for range backlog + 1 {
		h.takeSample(t.Context())
	}
	n := 0
	for range slow.lines {
		n++
	}
	if n != backlog || len(h.viewers) != 0 {
		t.Errorf("the slow viewer had %d messages, want %d; viewers left: %d", n, backlog, len(h.viewers))
	}
}

// TestEventsOutliveTheAgent requires that the page keeps its events while the agent is away, gets no
// event twice from an agent that sends its newest events again, and keeps those of an earlier agent.
func TestEventsOutliveTheAgent(t *testing.T) {
	t.Parallel()
	at := func(second int) specs.Event {
		e := eventOf("web")
		e.Time = begun.Add(time.Duration(second) * time.Minute)
		return e
	}
	var events []specs.Event // as the page has them
	h := NewHub(&fakeAgent{})
	stream := func(all ...specs.Event) {
		h.beginEvents()
		for _, e := range all {
			h.addEvent(e)
		}
		h.takeSample(t.Context())
	}
	v, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	wantEvents := func(what string, want ...int) {
		t.Helper()
		for len(v.lines) > 0 {
			var m Message
			if err := json.Unmarshal(<-v.lines, &m); err != nil {
				t.Fatal(err)
			}
			if m.Reset {
				events = nil
			}
			events = append(events, m.Events...)
		}
		late := h.view.Full(h.events).Events
		var got, gotLate []int
		for _, e := range events {
			got = append(got, int(e.Time.Sub(begun)/time.Minute))
		}
		for _, e := range late {
			gotLate = append(gotLate, int(e.Time.Sub(begun)/time.Minute))
		}
		if !slices.Equal(got, want) || !slices.Equal(gotLate, want) {
			t.Errorf("%s: events %v, those of a new viewer %v, want %v", what, got, gotLate, want)
		}
	}
	stream(at(1), at(2))
	wantEvents("first", 1, 2)
	stream()
	wantEvents("while the agent is away", 1, 2)
	stream(at(1), at(2), at(3))
	wantEvents("after the stream was cut off", 1, 2, 3)
	stream(at(7))
	wantEvents("of another run of the agent", 1, 2, 3, 7)
}

// TestMessageThatCannotBeMade requires that the page gets the changes of a view later if it could not
// be encoded.
func TestMessageThatCannotBeMade(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{}
	h := NewHub(f)
	h.takeSample(t.Context())
	v, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	<-v.lines
	wrong := endpointOf("web", 1)
	wrong.Ended = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC) // JSON has no such year
	f.set(nil, wrong, endpointOf("db", 1))
	h.takeSample(t.Context())
	var failed struct{ Error string }
	if err := json.Unmarshal(<-v.lines, &failed); err != nil || failed.Error == "" {
		t.Errorf("message %+v, %v, want the error", failed, err)
	}
	f.set(nil, endpointOf("db", 1))
	h.takeSample(t.Context())
	var m Message
	if err := json.Unmarshal(<-v.lines, &m); err != nil || len(m.Rows) != 1 {
		t.Errorf("message %+v, %v; want the row that the page does not have", m, err)
	}
}
