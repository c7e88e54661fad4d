package top

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"berth/specs"
)

var update = flag.Bool("update", false, "write the golden frames")

// clock is the time of the scene's first sample.
var clock = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

const hexID = "3f2a91c04b7e5d1122334455667788990011223344556677889900aabbccddee"

// silent is an agent that never answers: tests send its messages.
type silent struct{}

func (silent) takeSample() tea.Msg           { return nil }
func (silent) sampleLater(time.Time) tea.Cmd { return nil }
func (silent) nextViolations() tea.Msg       { return nil }

// scene is a model and its time.
type scene struct {
	t *testing.T
	m Model
	n int // samples
}

func newScene(t *testing.T, width, height int) *scene {
	s := &scene{t: t, m: newModel(newTheme(true, false, true), silent{})}
	s.sendMsg(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

func (s *scene) sendMsg(msg tea.Msg) tea.Cmd {
	m, cmd := s.m.Update(msg)
	s.m = m.(Model)
	return cmd
}

// pressKeys presses keys by their names; other strings are typed letter by letter.
func (s *scene) pressKeys(names ...string) (last tea.Cmd) {
	special := map[string]tea.KeyPressMsg{
		"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "backspace": {Code: tea.KeyBackspace},
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
		"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
		"space": {Code: tea.KeySpace, Text: " "}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+u": {Code: 'u', Mod: tea.ModCtrl},
		"ctrl+w": {Code: 'w', Mod: tea.ModCtrl}, "ctrl+z": {Code: 'z', Mod: tea.ModCtrl},
	}
	for _, name := range names {
		if k, ok := special[name]; ok {
			last = s.sendMsg(k)
			continue
		}
		for _, r := range name {
			last = s.sendMsg(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
	return last
}

// timeNow is the time of the next sample.
func (s *scene) timeNow() time.Time { return clock.Add(time.Duration(s.n) * time.Second) }

// addSample sends the agent's answer, a second after the last.
func (s *scene) addSample(endpoints ...specs.Endpoint) {
	s.sendMsg(sampleMsg{began: s.timeNow(), at: s.timeNow(), status: agentStatus(), endpoints: endpoints})
	s.n++
}

// runSamples sends samples in which the endpoints' counts grow.
func (s *scene) runSamples(samples int) *scene {
	for range samples {
		s.addSample(sampleContainers(s.n)...)
	}
	return s
}

func agentStatus() specs.AgentStatus {
	return specs.AgentStatus{
		Version: "v1.2.3", PID: 42, Started: clock.Add(-3 * time.Hour), Attached: true,
		Parents: []specs.ParentStatus{
			{Name: "eth1.100", Index: 7, State: specs.ParentCounting, Attach: "tcx", Networks: []string{"lan", "dmz"}, Endpoints: 3},
			{Name: "eth2", Index: 8, State: specs.ParentWaiting, Networks: []string{"lab"}, Problem: "parent eth2 does not exist yet"},
		},
	}
}

func mac(last byte) specs.MAC { return specs.MAC{0x02, 0, 0x5e, 0, 0x53, last} }

// sampleContainers returns four containers n seconds after the first sample.
func sampleContainers(n int) []specs.Endpoint {
	count := func(packets, bytes uint64) specs.Count { return specs.Count{Packets: packets, Bytes: bytes} }
	wave := uint64(0) // web receives more and more, and then nothing
	for i := range n {
		wave += uint64(i%8) * 100_000
	}
	k := uint64(n)
	all := []specs.Endpoint{
		{ContainerID: hexID, Name: "web", Image: "docker.io/library/nginx:1.29", Pod: "web-0", Namespace: "prod", Network: "lan", Interface: "net1", Mode: specs.ModeBridge,
			Counters: specs.Counters{
				Receive:  specs.Traffic{External: specs.Casts{Unicast: count(wave/1000, wave)}, Local: specs.Casts{Unicast: count(k, 100*k)}},
				Transmit: specs.Traffic{External: specs.Casts{Unicast: count(500*k, 38_000*k), Broadcast: count(k, 42*k)}},
			},
			Violations: map[specs.Kind]uint64{specs.MACSpoof: 3}},
		{ContainerID: "db", Network: "lan", Interface: "net1", Mode: specs.ModeBridge,
			Counters: specs.Counters{Transmit: specs.Traffic{Local: specs.Casts{Unicast: count(k, 100*k)}}}},
		{ContainerID: "a-container-with-a-very-long-name-indeed", Network: "dmz", Interface: "net2", Mode: specs.ModePrivate,
			Counters: specs.Counters{Receive: specs.Traffic{External: specs.Casts{Multicast: count(10*k, 1_250_000*k)}}}},
		{ContainerID: "new", Interface: "lan0", Mode: specs.ModePassthru},
	}
	for i := range all {
		e := &all[i]
		e.Driver, e.Parent, e.VLAN, e.MTU, e.MAC = specs.Macvlan, "eth1.100", 100, 1500, mac(byte(i+1))
		e.Addresses = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(65 + i)}), 24)}
		e.Phase, e.Created, e.Counted = specs.PhaseAttached, clock.Add(-time.Hour), true
	}
	all[3].Phase, all[3].Counted, all[3].Parent, all[3].Addresses = specs.PhaseAttaching, false, "eth2", nil
	return all
}

func spoofEvent(second int, sender *specs.Party) specs.Event {
	return specs.Event{
		Time: clock.Add(time.Duration(second) * time.Second), Kind: specs.MACSpoof, Certainty: specs.Certain,
		Direction: "egress", Parent: "eth1.100", VLAN: 100, MAC: specs.FrameMAC(mac(0x99)), Sender: sender,
	}
}

func webParty() *specs.Party {
	return &specs.Party{ContainerID: hexID, Name: "web", Network: "lan", Interface: "net1", MAC: mac(1)}
}

// compareGolden compares a frame, without its styles, with a file of testdata.
func (s *scene) compareGolden(name string) {
	s.t.Helper()
	s.checkFrame()
	got := plainFrame(s.m)
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got+"\n"); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// plainFrame returns a frame without styles and without blanks at the ends of lines.
func plainFrame(m Model) string {
	m.look.bare = true
	lines := strings.Split(m.Frame(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// lineWith returns the first line of the frame that contains a text.
func (s *scene) lineWith(has string) string {
	s.t.Helper()
	for l := range strings.Lines(plainFrame(s.m)) {
		if strings.Contains(l, has) {
			return strings.TrimSuffix(l, "\n")
		}
	}
	s.t.Errorf("no line has %q:\n%s", has, plainFrame(s.m))
	return ""
}

// nameOrder returns the names of the rows.
func (s *scene) nameOrder() string {
	var names []string
	for _, r := range s.m.rows {
		names = append(names, fmt.Sprintf("%.3s", nameOf(r)))
	}
	return strings.Join(names, " ")
}
