package top

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
