package top

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"berth/agent/client"
	"berth/specs"
)

var sizes = [][2]int{{80, 24}, {120, 40}, {200, 50}, {40, 10}}

// TestFrames compares frames with golden files, at the usual sizes of terminals.
func TestFrames(t *testing.T) {
	for _, size := range sizes {
		at := func(name string) string { return fmt.Sprintf("%s-%dx%d", name, size[0], size[1]) }
		s := newScene(t, size[0], size[1])
		s.compareGolden(at("asking"))
		s.addSample(sampleContainers(0)...)
		s.compareGolden(at("first"))
		s.runSamples(11)
		s.sendMsg(eventsMsg{spoofEvent(-600, nil), spoofEvent(9, webParty())})
		s.compareGolden(at("list"))
		s.pressKeys("down", "down", "enter")
		s.compareGolden(at("details"))
		s.pressKeys("esc", "?")
		s.compareGolden(at("help"))
		s.pressKeys("esc", "/", "lan 192.0")
		s.compareGolden(at("typing"))
		s.pressKeys("enter", "p")
		s.runSamples(1)
		s.compareGolden(at("held"))
		s.pressKeys("p", "esc")
		s.sendMsg(lostMsg{at: s.timeNow().Add(3 * time.Second), err: fmt.Errorf("agent at /run/berth/berthd.sock: %w", client.ErrNoAgent)})
		s.compareGolden(at("lost"))
	}
}

// TestObservedFrames marks an interface that berth did not create, in the list and in its details.
func TestObservedFrames(t *testing.T) {
	for _, size := range sizes {
		at := func(name string) string { return fmt.Sprintf("%s-%dx%d", name, size[0], size[1]) }
		s := newScene(t, size[0], size[1])
		for n := range 3 {
			all := sampleContainers(n)[:2]
			all[1].Name, all[1].Network, all[1].Interface, all[1].Origin = "cam", "", "eth0", specs.OriginObserved
			s.addSample(all...)
		}
		s.compareGolden(at("observed"))
		s.pressKeys("down", "enter")
		s.compareGolden(at("observed-details"))
	}
}

// checkFrame checks the invariants of every frame: its size, and that its only escape sequences
// are berth's own styles.
func (s *scene) checkFrame() {
	s.t.Helper()
	frame := s.m.Frame()
	lines := strings.Split(frame, "\n")
	if s.m.width > 0 && s.m.height > 0 && len(lines) != s.m.height {
		s.t.Errorf("%d lines at %dx%d:\n%s", len(lines), s.m.width, s.m.height, frame)
	}
	for _, l := range lines {
		if width := ansi.StringWidthWc(l); width > s.m.width {
			s.t.Errorf("a line of %d columns at %dx%d: %q", width, s.m.width, s.m.height, l)
		}
	}
	stripped := ownStyles.Replace(frame)
	if i := strings.IndexFunc(stripped, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		s.t.Errorf("at %dx%d a control character: %q", s.m.width, s.m.height, stripped[i:min(len(stripped), i+20)])
	}
}

// ownStyles removes the escape sequences that a frame may have.
var ownStyles = strings.NewReplacer("\x1b[m", "", "\x1b[1m", "", "\x1b[2m", "", "\x1b[7m", "",
	"\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[36m", "")

// hostile is wide text that would move the cursor, change the title, break lines or change
// the direction of writing.
const hostile = "\x1b[2J\x1b]0;owned\x07\r\n\u202e網網網\x00\u0085e\u0301"

// poisonStrings sets every text of a value.
func poisonStrings(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		if !v.IsNil() {
			poisonStrings(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poisonStrings(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poisonStrings(v.Index(i))
		}
	}
}

// TestFramesAreSound requires for any answer of the agent, size and page that the frame has
// the terminal's size and contains only text.
func TestFramesAreSound(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var sizes [][2]int
	for range 150 {
		sizes = append(sizes, [2]int{random.IntN(140), random.IntN(60)})
	}
	sizes = append(sizes, [2]int{1, 1}, [2]int{2, 2}, [2]int{0, 0}, [2]int{300, 3}, [2]int{3, 100})
	for _, size := range sizes {
		s := newScene(t, size[0], size[1])
		for range 3 {
			all := sampleContainers(s.n)
			all[1].Phase, all[1].Ended = specs.PhaseEnded, s.timeNow()
			say := agentStatus()
			poisonStrings(reflect.ValueOf(&say).Elem())
			poisonStrings(reflect.ValueOf(&all[2]).Elem())
			s.sendMsg(sampleMsg{at: s.timeNow(), status: say, endpoints: all})
			s.n++
			s.checkFrame()
		}
		e := spoofEvent(1, webParty())
		e.Owner = webParty()
		poisonStrings(reflect.ValueOf(&e).Elem())
		s.sendMsg(eventsMsg{e, spoofEvent(2, webParty()), e})
		s.checkFrame()
		for _, key := range []string{"end", "enter", "down", "pgdown", "esc", "?", "down", "esc", "/", hostile, "enter", ">", "r", "home", "p"} {
			s.pressKeys(key)
			s.checkFrame()
		}
		s.sendMsg(lostMsg{at: s.timeNow(), err: errors.New(hostile)})
		s.checkFrame()
	}
}

// TestThemes: a dumb terminal gets no escape sequence, one without colours no colours, one
// without UTF-8 only ASCII. The text is the same.
func TestThemes(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(12)
	s.sendMsg(eventsMsg{spoofEvent(9, webParty())})
	coloured := s.m.Frame()
	if !strings.Contains(coloured, "\x1b[36m") {
		t.Errorf("a frame without colours: %q", coloured)
	}
	s.m.look = newTheme(false, false, true)
	if frame := s.m.Frame(); strings.Contains(frame, "\x1b[3") || !strings.Contains(frame, "\x1b[7m") || ansi.Strip(frame) != ansi.Strip(coloured) {
		t.Errorf("a frame without colours: %q", frame)
	}
	s.m.look = newTheme(false, true, true)
	if frame := s.m.Frame(); frame != ansi.Strip(coloured) {
		t.Errorf("a frame for a dumb terminal: %q", frame)
	}
	s.m.look = newTheme(true, true, false)
	if frame := s.m.Frame(); strings.IndexFunc(frame, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
		t.Errorf("a frame without UTF-8: %q", frame)
	}
	if v := s.m.View(); !v.AltScreen || v.Content != s.m.Frame() {
		t.Error("the view is not the frame on the other screen")
	}
}

func TestResize(t *testing.T) {
	s := newScene(t, 80, 24).runSamples(3)
	s.pressKeys("end")
	before := s.m.rows[s.m.cursor].ContainerID
	s.sendMsg(tea.WindowSizeMsg{Width: 40, Height: 6})
	s.checkFrame()
	if !strings.Contains(s.lineWith("▸"), before) && !strings.Contains(s.lineWith("▸"), before[:8]) {
		t.Errorf("after a resize the selected line is %q, want %s", s.lineWith("▸"), before)
	}
}

// TestParentsShowLANAndLocalApart: a parent's rate is the traffic on the wire; traffic
// between siblings is apart from it.
func TestParentsShowLANAndLocalApart(t *testing.T) {
	t.Parallel()
	s := newScene(t, 120, 24)
	for n := range uint64(3) {
		all := sampleContainers(s.n)[1:3]
		count := specs.Casts{Unicast: specs.Count{Packets: n * 250, Bytes: n * 250_000}}
		for i := range all {
			all[i].Counters = specs.Counters{Receive: specs.Traffic{Local: count}, Transmit: specs.Traffic{Local: count}}
		}
		all[0].Counters.Receive.External = specs.Casts{Unicast: specs.Count{Packets: n, Bytes: n * 100}}
		s.addSample(all...)
	}
	if got, want := s.lineWith("eth1.100"), " eth1.100         counting      3    100 B      0 B   500 kB lan dmz"; got != want {
		t.Errorf("parent %q, want %q", got, want)
	}
	s.pressKeys("b")
	if got, want := s.lineWith("eth1.100"), " eth1.100         counting      3    800 b      0 b  4.00 Mb lan dmz"; got != want {
		t.Errorf("parent in bits %q, want %q", got, want)
	}
	s.pressKeys("enter")
	if got := s.lineWith("sent"); !strings.Contains(got, "at most 2.00 Mb/s") {
		t.Errorf("details in bits: %q", got)
	}
}

// TestLocalTrafficOfOneSibling: if only the receiver of siblings' frames is counted, its count is the local rate.
func TestLocalTrafficOfOneSibling(t *testing.T) {
	t.Parallel()
	s := newScene(t, 80, 24)
	for n := range uint64(2) {
		one := sampleContainers(s.n)[1:2]
		one[0].Counters = specs.Counters{Receive: specs.Traffic{Local: specs.Casts{Unicast: specs.Count{Packets: n, Bytes: n * 1500}}}}
		s.addSample(one...)
	}
	if got, want := s.lineWith("eth1.100"), "0 B      0 B  1.50 kB lan"; !strings.Contains(got, want) {
		t.Errorf("parent %q, want %q", got, want)
	}
}

// TestViolationsPane: the pane shows a repeated violation once, with its addresses, and
// takes no more lines than necessary.
func TestViolationsPane(t *testing.T) {
	t.Parallel()
	s := newScene(t, 120, 48).runSamples(2)
	if l := s.m.layout(); l.events != 0 {
		t.Errorf("%d lines without a violation, want 0", l.events)
	}
	var all []specs.Event
	for i := range 9 {
		e := spoofEvent(i, webParty())
		e.Frame.SourceIP, e.Frame.DestinationIP = netip.MustParseAddr("192.0.2.99"), netip.MustParseAddr("192.0.2.1")
		e.LeftOut = 1
		all = append(all, e)
	}
	s.sendMsg(eventsMsg(all))
	const want = " 12:00:08 mac-spoof by web (+17): 02:00:5e:00:53:99 192.0.2.99 > 192.0.2.1 on eth1.100"
	if got := s.lineWith("mac-spoof"); got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	if n := strings.Count(plainFrame(s.m), "mac-spoof"); n != 1 || s.m.layout().events != 1 {
		t.Errorf("%d lines in a pane of %d, want 1", n, s.m.layout().events)
	}
	s.sendMsg(tea.WindowSizeMsg{Width: 80, Height: 24})
	if got, want := s.lineWith("(+17)"), want[:79]; !strings.HasPrefix(got, want) {
		t.Errorf("at 80 columns %q, want %q, with the MAC and both addresses whole", got, want)
	}
	s.pressKeys(">", "enter", "end") // web transmits most
	if n := strings.Count(plainFrame(s.m), "(+17)"); n != 1 {
		t.Errorf("the violation is %d times in the details:\n%s", n, plainFrame(s.m))
	}
}

// TestViolationsUseEmptyLines: violations use the empty lines below the rows, and no line
// of a row.
func TestViolationsUseEmptyLines(t *testing.T) {
	t.Parallel()
	s := newScene(t, 120, 48).runSamples(2)
	var all []specs.Event
	for i := range 100 {
		e := spoofEvent(i, webParty())
		e.MAC[5] = byte(i)
		all = append(all, e)
	}
	s.sendMsg(eventsMsg(all))
	if l := s.m.layout(); l.rows != 4 || l.events < 24 {
		t.Errorf("%d lines of rows and %d of violations, want 4 and the rest", l.rows, l.events)
	}
	s.checkFrame()
	many := sampleContainers(2)
	for i := range 60 {
		e := many[1]
		e.Interface = fmt.Sprint("net", i+10)
		many = append(many, e)
	}
	s.addSample(many...)
	if l := s.m.layout(); l.events != 8 || l.rows < 24 {
		t.Errorf("%d lines of rows and %d of violations, want the rest and a sixth of 48", l.rows, l.events)
	}
	s.checkFrame()
}

// TestTotalOfParents: several parents have a total, of the LAN and of local traffic.
func TestTotalOfParents(t *testing.T) {
	t.Parallel()
	s := newScene(t, 80, 24)
	at := func(n uint64) []specs.Endpoint {
		all := sampleContainers(0)[1:3]
		for i := range all {
			each := (uint64(i) + 1) * n
			all[i].Counters.Receive = specs.Traffic{External: specs.Casts{Unicast: specs.Count{Packets: each, Bytes: 100 * each}}}
			all[i].Counters.Transmit = specs.Traffic{Local: specs.Casts{Unicast: specs.Count{Packets: each, Bytes: 50 * each}}}
		}
		all[1].Parent = "eth3"
		return all
	}
	say := agentStatus()
	say.Parents = append(say.Parents, specs.ParentStatus{Name: "eth3", State: specs.ParentCounting, Endpoints: 1})
	for n := range uint64(2) {
		s.sendMsg(sampleMsg{at: s.timeNow(), status: say, endpoints: at(n)})
		s.n++
	}
	const want = " total                          4    300 B      0 B    150 B"
	if got := s.lineWith(" total "); got != want {
		t.Errorf("total %q, want %q", got, want)
	}
	say.Parents = say.Parents[:1]
	s.sendMsg(sampleMsg{at: s.timeNow(), status: say, endpoints: at(2)})
	if strings.Contains(plainFrame(s.m), " total ") {
		t.Errorf("one parent has a total:\n%s", plainFrame(s.m))
	}
}

// TestWideCharactersKeepColumns: wide characters, emoji and combining ones do not move the
// columns after them.
func TestWideCharactersKeepColumns(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		s := newScene(t, size[0], size[1])
		all := sampleContainers(1)
		for i, name := range []string{"plain", "ウェブサーバーの名前はとても長いです", "e\u0301te\u0301", "🚀🚀🚀"} {
			all[i].Name, all[i].Network, all[i].Interface = name, "lan", "net1"
		}
		s.addSample(all...)
		columns := make(map[int]bool)
		for line := range strings.Lines(plainFrame(s.m)) {
			if before, _, ok := strings.Cut(line, "lan@net1"); ok {
				columns[ansi.StringWidthWc(before)] = true
			}
		}
		if size[0] > 40 && len(columns) != 1 {
			t.Errorf("at %v the column begins at %v", size, columns)
		}
	}
}
