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
		s.golden(at("asking"))
		s.sample(containers(0)...)
		s.golden(at("first"))
		s.run(11)
		s.send(eventsMsg{spoof(-600, nil), spoof(9, party())})
		s.golden(at("list"))
		s.keys("down", "down", "enter")
		s.golden(at("details"))
		s.keys("esc", "?")
		s.golden(at("help"))
		s.keys("esc", "/", "lan 192.0")
		s.golden(at("typing"))
		s.keys("enter", "p")
		s.run(1)
		s.golden(at("held"))
		s.keys("p", "esc")
		s.send(lostMsg{at: s.now().Add(3 * time.Second), err: fmt.Errorf("agent at /run/berth/berthd.sock: %w", client.ErrNoAgent)})
		s.golden(at("lost"))
	}
}

// sound checks the invariants of every frame: its size, and that its only escape sequences
// are berth's own styles.
func (s *scene) sound() {
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

// poison sets every text of a value.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
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
			all := containers(s.n)
			all[1].Phase, all[1].Ended = specs.PhaseEnded, s.now()
			say := status()
			poison(reflect.ValueOf(&say).Elem())
			poison(reflect.ValueOf(&all[2]).Elem())
			s.send(sampleMsg{at: s.now(), status: say, endpoints: all})
			s.n++
			s.sound()
		}
		e := spoof(1, party())
		e.Owner = party()
		poison(reflect.ValueOf(&e).Elem())
		s.send(eventsMsg{e, spoof(2, party()), e})
		s.sound()
		for _, key := range []string{"end", "enter", "down", "pgdown", "esc", "?", "down", "esc", "/", hostile, "enter", ">", "r", "home", "p"} {
			s.keys(key)
			s.sound()
		}
		s.send(lostMsg{at: s.now(), err: errors.New(hostile)})
		s.sound()
	}
}

// TestLooks: a dumb terminal gets no escape sequence, one without colours no colours, one
// without UTF-8 only ASCII. The text is the same.
func TestLooks(t *testing.T) {
	s := newScene(t, 80, 24).run(12)
	s.send(eventsMsg{spoof(9, party())})
	coloured := s.m.Frame()
	if !strings.Contains(coloured, "\x1b[36m") {
		t.Errorf("a frame without colours: %q", coloured)
	}
	s.m.look = newLook(false, false, true)
	if frame := s.m.Frame(); strings.Contains(frame, "\x1b[3") || !strings.Contains(frame, "\x1b[7m") || ansi.Strip(frame) != ansi.Strip(coloured) {
		t.Errorf("a frame without colours: %q", frame)
	}
	s.m.look = newLook(false, true, true)
	if frame := s.m.Frame(); frame != ansi.Strip(coloured) {
		t.Errorf("a frame for a dumb terminal: %q", frame)
	}
	s.m.look = newLook(true, true, false)
	if frame := s.m.Frame(); strings.IndexFunc(frame, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
		t.Errorf("a frame without UTF-8: %q", frame)
	}
	if v := s.m.View(); !v.AltScreen || v.Content != s.m.Frame() {
		t.Error("the view is not the frame on the other screen")
	}
}

func TestResize(t *testing.T) {
	s := newScene(t, 80, 24).run(3)
	s.keys("end")
	before := s.m.rows[s.m.cursor].ContainerID
	s.send(tea.WindowSizeMsg{Width: 40, Height: 6})
	s.sound()
	if !strings.Contains(s.line("▸"), before) && !strings.Contains(s.line("▸"), before[:8]) {
		t.Errorf("after a resize the selected line is %q, want %s", s.line("▸"), before)
	}
}

// TestParentsShowLANAndLocalApart: a parent's rate is the traffic on the wire; traffic
// between siblings is apart from it.
func TestParentsShowLANAndLocalApart(t *testing.T) {
	t.Parallel()
	s := newScene(t, 120, 24)
	for n := range uint64(3) {
		all := containers(s.n)[1:3]
		count := specs.Casts{Unicast: specs.Count{Packets: n * 250, Bytes: n * 250_000}}
		for i := range all {
			all[i].Counters = specs.Counters{Receive: specs.Traffic{Local: count}, Transmit: specs.Traffic{Local: count}}
		}
		all[0].Counters.Receive.External = specs.Casts{Unicast: specs.Count{Packets: n, Bytes: n * 100}}
		s.sample(all...)
	}
	if got, want := s.line("eth1.100"), " eth1.100         counting      3    100 B      0 B   500 kB lan dmz"; got != want {
		t.Errorf("parent %q, want %q", got, want)
	}
	s.keys("b")
	if got, want := s.line("eth1.100"), " eth1.100         counting      3    800 b      0 b  4.00 Mb lan dmz"; got != want {
		t.Errorf("parent in bits %q, want %q", got, want)
	}
	s.keys("enter")
	if got := s.line("sent"); !strings.Contains(got, "at most 2.00 Mb/s") {
		t.Errorf("details in bits: %q", got)
	}
}

// TestLocalOfOneSibling: if only the receiver of siblings' frames is counted, its count is the local rate.
func TestLocalOfOneSibling(t *testing.T) {
	t.Parallel()
	s := newScene(t, 80, 24)
	for n := range uint64(2) {
		one := containers(s.n)[1:2]
		one[0].Counters = specs.Counters{Receive: specs.Traffic{Local: specs.Casts{Unicast: specs.Count{Packets: n, Bytes: n * 1500}}}}
		s.sample(one...)
	}
	if got, want := s.line("eth1.100"), "0 B      0 B  1.50 kB lan"; !strings.Contains(got, want) {
		t.Errorf("parent %q, want %q", got, want)
	}
}

// TestViolationsPane: the pane shows a repeated violation once, with its addresses, and
// takes no more lines than necessary.
func TestViolationsPane(t *testing.T) {
	t.Parallel()
	s := newScene(t, 120, 48).run(2)
	if l := s.m.layout(); l.events != 0 {
		t.Errorf("%d lines without a violation, want 0", l.events)
	}
	var all []specs.Event
	for i := range 9 {
		e := spoof(i, party())
		e.Frame.SourceIP, e.Frame.DestinationIP = netip.MustParseAddr("192.0.2.99"), netip.MustParseAddr("192.0.2.1")
		e.LeftOut = 1
		all = append(all, e)
	}
	s.send(eventsMsg(all))
	const want = " 12:00:08 mac-spoof by web (+17): 02:00:5e:00:53:99 192.0.2.99 > 192.0.2.1 on eth1.100"
	if got := s.line("mac-spoof"); got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	if n := strings.Count(bare(s.m), "mac-spoof"); n != 1 || s.m.layout().events != 1 {
		t.Errorf("%d lines in a pane of %d, want 1", n, s.m.layout().events)
	}
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	if got, want := s.line("(+17)"), want[:79]; !strings.HasPrefix(got, want) {
		t.Errorf("at 80 columns %q, want %q, with the MAC and both addresses whole", got, want)
	}
	s.keys(">", "enter", "end") // web transmits most
	if n := strings.Count(bare(s.m), "(+17)"); n != 1 {
		t.Errorf("the violation is %d times in the details:\n%s", n, bare(s.m))
	}
}

// TestViolationsUseEmptyLines: violations use the empty lines below the rows, and no line
// of a row.
func TestViolationsUseEmptyLines(t *testing.T) {
	t.Parallel()
	s := newScene(t, 120, 48).run(2)
	var all []specs.Event
	for i := range 100 {
		e := spoof(i, party())
		e.MAC[5] = byte(i)
		all = append(all, e)
	}
	s.send(eventsMsg(all))
	if l := s.m.layout(); l.rows != 4 || l.events < 24 {
		t.Errorf("%d lines of rows and %d of violations, want 4 and the rest", l.rows, l.events)
	}
	s.sound()
	many := containers(2)
	for i := range 60 {
		e := many[1]
		e.Interface = fmt.Sprint("net", i+10)
		many = append(many, e)
	}
	s.sample(many...)
	if l := s.m.layout(); l.events != 8 || l.rows < 24 {
		t.Errorf("%d lines of rows and %d of violations, want the rest and a sixth of 48", l.rows, l.events)
	}
	s.sound()
}

// TestTotalOfParents: several parents have a total, of the LAN and of local traffic.
func TestTotalOfParents(t *testing.T) {
	t.Parallel()
	s := newScene(t, 80, 24)
	at := func(n uint64) []specs.Endpoint {
		all := containers(0)[1:3]
		for i := range all {
			each := (uint64(i) + 1) * n
			all[i].Counters.Receive = specs.Traffic{External: specs.Casts{Unicast: specs.Count{Packets: each, Bytes: 100 * each}}}
			all[i].Counters.Transmit = specs.Traffic{Local: specs.Casts{Unicast: specs.Count{Packets: each, Bytes: 50 * each}}}
		}
		all[1].Parent = "eth3"
		return all
	}
	say := status()
	say.Parents = append(say.Parents, specs.ParentStatus{Name: "eth3", State: specs.ParentCounting, Endpoints: 1})
	for n := range uint64(2) {
		s.send(sampleMsg{at: s.now(), status: say, endpoints: at(n)})
		s.n++
	}
	const want = " total                          4    300 B      0 B    150 B"
	if got := s.line(" total "); got != want {
		t.Errorf("total %q, want %q", got, want)
	}
	say.Parents = say.Parents[:1]
	s.send(sampleMsg{at: s.now(), status: say, endpoints: at(2)})
	if strings.Contains(bare(s.m), " total ") {
		t.Errorf("one parent has a total:\n%s", bare(s.m))
	}
}

// TestWideCharactersKeepColumns: wide characters, emoji and combining ones do not move the
// columns after them.
func TestWideCharactersKeepColumns(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		s := newScene(t, size[0], size[1])
		all := containers(1)
		for i, name := range []string{"plain", "ウェブサーバーの名前はとても長いです", "e\u0301te\u0301", "🚀🚀🚀"} {
			all[i].Name, all[i].Network, all[i].Interface = name, "lan", "net1"
		}
		s.sample(all...)
		columns := make(map[int]bool)
		for line := range strings.Lines(bare(s.m)) {
			if before, _, ok := strings.Cut(line, "lan@net1"); ok {
				columns[ansi.StringWidthWc(before)] = true
			}
		}
		if size[0] > 40 && len(columns) != 1 {
			t.Errorf("at %v the column begins at %v", size, columns)
		}
	}
}
