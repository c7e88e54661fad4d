package top

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"berth/agent/client"
	"berth/specs"
)

// source requests data from the agent.
type source struct {
	ctx      context.Context
	agent    *client.Client
	follower *client.Follower
	interval time.Duration
	events   chan specs.Event
}

const (
	answerTimeout = 5 * time.Second // after which the agent counts as away
	eventsBuffer  = 1000            // events that wait to be shown
	eventsPast    = time.Hour       // maximum age of the first events shown
)

func newSource(ctx context.Context, agent *client.Client, interval time.Duration) *source {
	s := &source{ctx: ctx, agent: agent, follower: agent.Follower(), interval: interval,
		events: make(chan specs.Event, eventsBuffer)}
	go s.followEvents()
	return s
}

// takeSample implements asker. It requests only the endpoints that have changed.
func (s *source) takeSample() tea.Msg {
	ctx, cancel := context.WithTimeout(s.ctx, answerTimeout)
	defer cancel()
	began := time.Now()
	status, err := s.agent.RecentStatus(ctx)
	if err != nil {
		return lostMsg{began: began, at: time.Now(), err: err}
	}
	endpoints, err := s.follower.Endpoints(ctx)
	if err != nil {
		return lostMsg{began: began, at: time.Now(), err: err}
	}
	return sampleMsg{began: began, at: time.Now(), status: status, endpoints: endpoints}
}

// sampleLater implements asker.
func (s *source) sampleLater(began time.Time) tea.Cmd {
	return tea.Tick(max(0, s.interval-time.Since(began)), func(time.Time) tea.Msg { return pollMsg{} })
}

// nextViolations implements asker.
func (s *source) nextViolations() tea.Msg {
	var some eventsMsg
	select {
	case e := <-s.events:
		some = append(some, e)
	case <-s.ctx.Done():
		return nil
	}
	for len(some) < eventsBuffer {
		select {
		case e := <-s.events:
			some = append(some, e)
		default:
			return some
		}
	}
	return some
}

// followEvents reads the agent's violations, and reconnects if the agent is restarted. It reads
// none twice; those of the time without a connection are read later.
func (s *source) followEvents() {
	since := time.Now().Add(-eventsPast)
	for s.ctx.Err() == nil {
		for e, err := range s.agent.Events(s.ctx, client.Filter{Follow: true, Since: since}) {
			if err != nil {
				break
			}
			since = e.Time.Add(1)
			select {
			case s.events <- e:
			case <-s.ctx.Done():
				return
			}
		}
		select {
		case <-time.After(s.interval):
		case <-s.ctx.Done():
		}
	}
}

// isStreamEnd reports whether an error only means that the view was ended from outside.
func isStreamEnd(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, ctx.Err()))
}
