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
	if h.view != nil || f.timesAsked() == 0 {
		t.Errorf("view %+v after the last viewer left, %d requests", h.view, f.timesAsked())
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
