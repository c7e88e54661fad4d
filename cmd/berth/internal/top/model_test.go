package top

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"berth/specs"
)

func TestSortRows(t *testing.T) {
	s := newScene(t, 120, 24).runSamples(4)
	for _, c := range []struct{ keys, head, order string }{
		{"", "RX/s▼", "a-c web db new"},
		{"r", "RX/s▲", "db new web a-c"},
		{">", "TX/s▼", "web db a-c new"},
		{">", "RX P/s▼", "web a-c db new"},
		{"s", "TX P/s▼", "web db a-c new"},
		{"s", "RX▼", "a-c web db new"},
		{"s", "TX▼", "web db a-c new"},
		{"s", "VIOL▼", "web a-c db new"}, // HISTORY cannot be sorted by
		{"s", "CONTAINER▲", "a-c db new web"},
		{"r", "CONTAINER▼", "web new db a-c"},
		{"<", "VIOL▼", "web a-c db new"},
		{">>", "NETWORK@IF▲", "new a-c db web"},
		{">", "ADDRESS▲", "web db a-c new"},
	} {
		s.pressKeys(c.keys)
		if s.nameOrder() != c.order || !strings.Contains(s.lineWith("CONTAINER"), c.head) {
			t.Errorf("after %q: %s under %q, want %s under %s", c.keys, s.nameOrder(), s.lineWith("CONTAINER"), c.order, c.head)
		}
	}
	s.pressKeys("left", "right")
	s.sendMsg(tea.WindowSizeMsg{Width: 40, Height: 24})
	s.pressKeys(">") // the sorted column is no longer visible
	if head := s.lineWith("CONTAINER"); !strings.ContainsAny(head, "▼▲") {
		t.Errorf("on a narrower terminal nothing is sorted by: %q", head)
	}
}

func TestFilterRows(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(4)
	s.pressKeys("/", "NGINX")
	if s.nameOrder() != "web" || s.m.footerLine() == "" {
		t.Errorf("an image's name leaves %q", s.nameOrder())
	}
	for _, c := range []struct{ keys, want string }{
		{"ctrl+u", "a-c web db new"},
		{"192.0.2.66", "db"},
		{"backspace", "a-c web db"}, // 192.0.2.6
		{"ctrl+w", "a-c web db new"},
		{"lan bridge", "web db"},
		{"ctrl+w", "web db new"}, // lan0 is an interface
		{"q", ""},                // a letter, while typing
		{"enter", ""},
		{"esc", "a-c web db new"},
		{"/", "a-c web db new"},
		{":53:03", "a-c"},
		{"esc", "a-c web db new"}, // cancels it
	} {
		if s.pressKeys(c.keys); s.nameOrder() != c.want {
			t.Errorf("after %q the filter %q leaves %q, want %q", c.keys, s.m.filter, s.nameOrder(), c.want)
		}
	}
	s.pressKeys("/")
	s.sendMsg(tea.PasteMsg{Content: "d\x1bb\n" + strings.Repeat("x", 1000)})
	if !strings.HasPrefix(s.m.filter, "dbxx") || len(s.m.filter) > filterMost {
		t.Errorf("what was pasted made the filter %q", s.m.filter)
	}
	s.pressKeys("enter")
	if got := s.lineWith("none of"); !strings.Contains(got, "none of 4 interfaces has") {
		t.Errorf("a filter that nothing passes: %q", got)
	}
}

// TestFilterStays: the filter applies to later endpoints too.
func TestFilterStays(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(2)
	s.pressKeys("/", "late", "enter")
	late := sampleContainers(2)
	late[1].Name, late[1].Created = "latecomer", s.timeNow()
	s.addSample(late...)
	if s.nameOrder() != "lat" {
		t.Errorf("a container that came later is not among %q", s.nameOrder())
	}
}

// TestHeldPicture: a held picture stays as it is; later changes are shown after it.
func TestHeldPicture(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(3)
	s.pressKeys("p")
	held := s.m.Frame()
	if !strings.Contains(held, "HELD") {
		t.Error("the frame does not say that it is held")
	}
	s.runSamples(3)
	s.sendMsg(eventsMsg{spoofEvent(1, webParty())})
	s.sendMsg(lostMsg{at: s.timeNow(), err: tea.ErrInterrupted})
	if s.m.Frame() != held {
		t.Error("a held frame changes")
	}
	s.pressKeys("/", "db", "enter") // it can be examined while held
	if s.nameOrder() != "db" {
		t.Errorf("a held frame is not filtered: %s", s.nameOrder())
	}
	s.pressKeys("esc", "space")
	if got := plainFrame(s.m); strings.Contains(got, "HELD") || !strings.Contains(got, "by web") || !strings.Contains(got, "no answer") {
		t.Errorf("what happened while it was held is not there:\n%s", got)
	}
	web := s.m.shown.trails[s.m.shownKey("web")]
	if len(web) != 7 {
		t.Errorf("the history has %d points, want 7", len(web))
	}
}

// TestCursor: the cursor stays at the top until a person moves it, and then with its
// endpoint.
func TestCursor(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(2)
	s.pressKeys("s", "s", "s", "s", "s") // by name
	at := func() string { return strings.Fields(strings.TrimPrefix(s.lineWith("▸"), "▸"))[0] }
	if at() != "a-container-w…" {
		t.Errorf("at first the cursor is at %q", at())
	}
	s.pressKeys("down", "down")
	if at() != "new" {
		t.Errorf("two lines down is %q", at())
	}
	more := sampleContainers(2)
	more[0].Name = "aa" // it comes first, so all move down
	s.addSample(more...)
	if at() != "new" {
		t.Errorf("the cursor went from its endpoint to %q", at())
	}
	s.addSample(more[:3]...) // the endpoint is gone
	if at() == "new" {
		t.Error("the cursor is at an endpoint that is gone")
	}
	s.pressKeys("home")
	if at() != "a-container-w…" {
		t.Errorf("home is %q", at())
	}
	s.addSample() // no endpoint is left
	s.pressKeys("down", "enter", "up", "end")
	s.checkFrame()
	if got := s.lineWith("no container"); got == "" {
		t.Error("an empty list says nothing")
	}
}

// TestScroll: if there are more endpoints than lines, the selected one is always visible.
func TestScroll(t *testing.T) {
	s := newScene(t, 80, 12)
	var many []specs.Endpoint
	for i := range 100 {
		e := sampleContainers(0)[1]
		e.ContainerID, e.MAC[4] = strings.Repeat("x", i+1), byte(i)
		many = append(many, e)
	}
	s.addSample(many...)
	for _, keys := range []string{"down", "pgdown", "end", "up", "pgup", "pgup", "home", "G", "k", "g", "j"} {
		s.pressKeys(keys)
		s.checkFrame()
		if s.lineWith("▸") == "" {
			t.Fatalf("after %s the cursor is not seen", keys)
		}
	}
	s.pressKeys("home", "end")
	if s.m.cursor != 99 {
		t.Errorf("the end is %d", s.m.cursor)
	}
	s.addSample(many[:3]...)
	if s.m.cursor != 2 || s.m.top != 0 {
		t.Errorf("after 97 are gone: line %d of those from %d on", s.m.cursor, s.m.top)
	}
}

func TestOpenPages(t *testing.T) {
	s := newScene(t, 40, 10).runSamples(3)
	s.pressKeys(">", "enter") // web sends most
	if !strings.Contains(plainFrame(s.m), "namespace  prod") {
		t.Errorf("details:\n%s", plainFrame(s.m))
	}
	top := plainFrame(s.m)
	s.pressKeys("down", "pgdown")
	s.checkFrame()
	if plainFrame(s.m) == top {
		t.Error("details do not scroll")
	}
	s.pressKeys("end")
	if !strings.Contains(plainFrame(s.m), "mac-spoof") {
		t.Errorf("the end of details:\n%s", plainFrame(s.m))
	}
	s.addSample(sampleContainers(3)[1:]...)
	if !strings.Contains(plainFrame(s.m), "it is gone") {
		t.Errorf("details of what is gone:\n%s", plainFrame(s.m))
	}
	s.pressKeys("esc", "?", "home")
	if !strings.Contains(plainFrame(s.m), "choose an interface") {
		t.Errorf("help:\n%s", plainFrame(s.m))
	}
	s.pressKeys("?")
	if s.m.page != pageList {
		t.Error("? does not leave the help")
	}
}

func TestQuit(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"ctrl+c"}, {"?", "q"}, {"enter", "q"}, {"/", "ctrl+c"}, {"p", "q"}} {
		cmd := newScene(t, 80, 24).runSamples(2).pressKeys(keys...)
		if cmd == nil {
			t.Errorf("%v does not quit", keys)
			continue
		}
		if _, ok := cmd().(tea.QuitMsg); !ok {
			t.Errorf("%v does something else than quit", keys)
		}
	}
	if cmd := newScene(t, 80, 24).pressKeys("ctrl+z"); cmd == nil {
		t.Error("ctrl+z does not suspend")
	}
}

// counting is an agent that counts the requests.
type counting struct{ samples, violated, waited int }

func (c *counting) takeSample() tea.Msg     { c.samples++; return nil }
func (c *counting) nextViolations() tea.Msg { c.violated++; return nil }
func (c *counting) sampleLater(time.Time) tea.Cmd {
	return func() tea.Msg { c.waited++; return pollMsg{} }
}

// TestSampling: the agent is asked again after each answer, and after a failure.
func TestSampling(t *testing.T) {
	c := new(counting)
	m := newModel(newTheme(true, false, true), c)
	for _, cmd := range m.Init()().(tea.BatchMsg) {
		cmd()
	}
	for _, msg := range []tea.Msg{sampleMsg{at: clock}, lostMsg{at: clock, err: tea.ErrInterrupted}, eventsMsg{}, pollMsg{}} {
		next, cmd := m.Update(msg)
		if m = next.(Model); cmd == nil {
			t.Fatalf("after %T nobody is asked", msg)
		}
		cmd()
	}
	if *c != (counting{samples: 2, violated: 2, waited: 2}) {
		t.Errorf("asked %+v", *c)
	}
}
