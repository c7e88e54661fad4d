package top

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"berth/internal/rates"
	"berth/specs"
)

// shownKey returns the key of the endpoint with a name.
func (m *Model) shownKey(of string) (key rates.Key) {
	for i := range m.shown.readings {
		if r := &m.shown.readings[i]; nameOf(r) == of {
			key = rates.KeyOf(&r.Endpoint)
		}
	}
	return key
}

func TestSpark(t *testing.T) {
	trailOf := func(values ...float32) (t trail) {
		for _, v := range values {
			t = t.addPoint(point{rx: v, gap: v < 0})
		}
		return t
	}
	const levels = "_.:-=+*#"
	for _, c := range []struct {
		trail trail
		width int
		want  string
	}{
		{nil, 4, "    "},
		{trailOf(0, 0), 4, "  __"},
		{trailOf(5), 3, "  #"},
		{trailOf(1, 2, 3, 4, 5, 6, 7), 7, ".:-=+*#"},
		{trailOf(0, 0.001, 7), 3, "_.#"},
		{trailOf(100, 1, 7), 2, ".#"}, // on the scale of the visible part
		{trailOf(7, -1, 7), 3, "# #"},
		{trailOf(1, 2), 0, ""},
		{trailOf(1, 2), -1, ""},
	} {
		if got := c.trail.sparkline(c.width, levels, point.received); got != c.want {
			t.Errorf("%v in %d: %q, want %q", c.trail, c.width, got, c.want)
		}
	}
	long := trailOf(make([]float32, 3*trailLength)...)
	if len(long) != trailLength {
		t.Errorf("a trail of %d points, want %d", len(long), trailLength)
	}
	p := point{rx: 1, tx: 2}
	if p.total() != 3 || p.received() != 1 || p.transmitted() != 2 {
		t.Error("a point's values are mixed up")
	}
}

// TestTrailsAreNotShared: adding to a trail does not change the one in a held picture.
func TestTrailsAreNotShared(t *testing.T) {
	a := make(trail, trailLength-1, 2*trailLength)
	b, c := a.addPoint(point{rx: 1}), a.addPoint(point{rx: 2})
	if b[trailLength-1].rx != 1 || c[trailLength-1].rx != 2 {
		t.Error("two trails share their points")
	}
}

// TestEndedEndpointsStay: an ended endpoint is shown for a while, with its last rates.
func TestEndedEndpointsStay(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(3)
	last := sampleContainers(3)
	last[1].Phase, last[1].Ended = specs.PhaseEnded, s.timeNow()
	s.addSample(last...)
	if got := s.lineWith("(ended) db"); !strings.Contains(got, "100 B") {
		t.Errorf("the last interval of one that ended: %q", got)
	}
	s.addSample(last...)
	if got := s.lineWith("(ended) db"); strings.Contains(got, "100 B") {
		t.Errorf("it goes on after its end: %q", got)
	}
	if got := s.lineWith("berth top"); !strings.Contains(got, "3 interfaces") {
		t.Errorf("it counts as live: %q", got)
	}
	s.n += int(lingering / time.Second)
	s.addSample(last...)
	if strings.Contains(plainFrame(s.m), "db") {
		t.Errorf("it is shown for longer than %v:\n%s", lingering, plainFrame(s.m))
	}
	if _, kept := s.m.shown.trails[rates.KeyOf(&last[1])]; kept {
		t.Error("its history is kept for ever")
	}
}

// TestAgentAway: the agent goes away and comes back: its answers stay, the history has a
// gap, and the rates after it are over the whole time.
func TestAgentAway(t *testing.T) {
	s := newScene(t, 80, 24)
	s.sendMsg(lostMsg{at: s.timeNow(), err: errors.New("no route")})
	s.sendMsg(lostMsg{at: s.timeNow().Add(2 * time.Second), err: errors.New("no route")})
	if got := s.lineWith("no answer"); got != "no answer for 2s: no route" {
		t.Errorf("an agent that never was: %q", got)
	}
	s.runSamples(3)
	if strings.Contains(plainFrame(s.m), "no answer") {
		t.Errorf("the agent is there:\n%s", plainFrame(s.m))
	}
	for range 2 {
		s.sendMsg(lostMsg{at: s.timeNow(), err: errors.New("broken pipe")})
		s.n++
	}
	if got := s.lineWith("no answer"); got != "no answer for 2s: broken pipe" {
		t.Errorf("an agent that went away: %q", got)
	}
	if got := s.lineWith("db"); !strings.Contains(got, "100 B") {
		t.Errorf("what it said last is gone: %q", got)
	}
	s.runSamples(1)
	got := s.lineWith("db")
	if strings.Contains(plainFrame(s.m), "no answer") || !strings.Contains(got, "100 B") || !strings.Contains(got, "██  █") {
		t.Errorf("after it came back: %q", got)
	}
}

func TestProblems(t *testing.T) {
	s := newScene(t, 80, 24)
	say := agentStatus()
	say.Problems = []string{"parent eth2 does not exist yet: make it"}
	for _, c := range []struct {
		change func(*specs.AgentStatus)
		want   string
	}{
		{func(*specs.AgentStatus) {}, "parent eth2 does not exist yet: make it"},
		{func(a *specs.AgentStatus) { a.Problems = append(a.Problems, "metrics: port taken") },
			"2 problems, see berth agent status: parent eth2 does not exist yet: make it"},
		{func(a *specs.AgentStatus) { a.Attached = false },
			"nothing is counted: detached on request; attach with `berth agent attach`"},
	} {
		c.change(&say)
		s.sendMsg(sampleMsg{at: s.timeNow(), status: say})
		if got := strings.Split(plainFrame(s.m), "\n")[1]; got != c.want {
			t.Errorf("alert %q, want %q", got, c.want)
		}
	}
	s.sendMsg(sampleMsg{at: s.timeNow(), status: specs.AgentStatus{Attached: true}})
	if got := strings.Split(plainFrame(s.m), "\n")[1]; strings.TrimSpace(got) == "" || !strings.Contains(got, "CONTAINER") {
		t.Errorf("without a problem the second line is %q", got)
	}
}

// TestEventsAreBounded: of a flood of violations the last are kept.
func TestEventsAreBounded(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(1)
	for i := range 3 * eventsKept {
		s.sendMsg(eventsMsg{spoofEvent(i, nil)})
	}
	if n := len(s.m.live.events); n != eventsKept || s.m.live.events[n-1].Time != spoofEvent(3*eventsKept-1, nil).Time {
		t.Errorf("%d events are kept", n)
	}
	e := spoofEvent(0, nil)
	e.LeftOut, e.Certainty, e.Owner = 12, specs.Suspected, webParty()
	s.sendMsg(eventsMsg{e})
	s.sendMsg(tea.WindowSizeMsg{Width: 100, Height: 24})
	if got, want := s.lineWith("(+12)"), " 12:00:00 mac-spoof by ? (+12): 02:00:5e:00:53:99 on eth1.100, of web (suspected)"; got != want {
		t.Errorf("an event's line is %q, want %q", got, want)
	}
}

// TestParents: parents show the sums of their endpoints; one with a problem comes first,
// and those without room are counted.
func TestParents(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(3)
	if got := s.lineWith("eth1.100"); !strings.Contains(got, "1.35 MB") {
		t.Errorf("a parent's traffic: %q", got)
	}
	say := agentStatus()
	for range 7 {
		say.Parents = append(say.Parents, specs.ParentStatus{Name: "eth7", State: specs.ParentCounting})
	}
	s.sendMsg(sampleMsg{at: s.timeNow(), status: say, endpoints: sampleContainers(3)})
	lines := strings.Split(plainFrame(s.m), "\n")
	if !strings.HasPrefix(lines[2], " PARENT (5 more)") || !strings.HasPrefix(lines[3], " eth2 ") {
		t.Errorf("parents:\n%s\n%s", lines[2], lines[3])
	}
}

// TestNoRatesWhileDetached: while the agent is detached, the rates are not 0 but unknown.
func TestNoRatesWhileDetached(t *testing.T) {
	s := newScene(t, 120, 24).runSamples(2)
	say := agentStatus()
	say.Attached, say.Parents[0].State = false, specs.ParentDetached
	s.sendMsg(sampleMsg{at: s.timeNow(), status: say, endpoints: sampleContainers(s.n)})
	for i := range s.m.shown.readings {
		if r := &s.m.shown.readings[i]; bytesCell(rxBytes)(&s.m, r) != "-" {
			t.Errorf("%s has a rate: %+v", nameOf(r), r.Rates)
		}
	}
}

// TestEventsOfAll: a violation shows the finding, its other parties, and that it was
// dropped; it is in the details of each of its parties.
func TestEventsOfAll(t *testing.T) {
	s := newScene(t, 160, 40).runSamples(2)
	drift := specs.Event{Time: clock, Kind: specs.ModeDrift, Certainty: specs.Certain, Parent: "eth1.100", Sender: webParty(), Detail: "is macvlan private, declared macvlan bridge"}
	leak := spoofEvent(1, &specs.Party{ContainerID: "db", Network: "lan", Interface: "net1"})
	leak.Kind, leak.Receiver, leak.Dropped = specs.PrivateLeak, webParty(), true
	s.m.shown = s.m.shown.withEvents([]specs.Event{drift, leak})
	frame := plainFrame(s.m)
	for _, want := range []string{
		"mode-drift by web: is macvlan private, declared macvlan bridge, on eth1.100",
		"private-leak by db: 02:00:5e:00:53:99 on eth1.100, to web, dropped",
	} {
		if !strings.Contains(frame, want) {
			t.Errorf("no %q in\n%s", want, frame)
		}
	}
	for i := range s.m.shown.readings {
		r := &s.m.shown.readings[i]
		r.GroupPackets, r.Dropped = new(uint64(4200)), map[specs.Kind]uint64{specs.MACSpoof: 2}
		if r.Name != "web" {
			continue
		}
		text := strings.Join(append(s.m.factLines(r), s.m.brokenBy(r)...), "\n")
		for _, want := range []string{"4.20k frames to groups and to all", "3 times, 2 of them dropped", "mode-drift by web", "private-leak by db"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in the details\n%s", want, text)
			}
		}
	}
}
