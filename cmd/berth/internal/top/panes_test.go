package top

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"berth/specs"
)

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

// TestNarrowParents: a narrow terminal leaves out columns of parents and of an interface's traffic. It
// cuts no number.
func TestNarrowParents(t *testing.T) {
	t.Parallel()
	for width, want := range map[int][2]string{
		40: {" PARENT               RX/s     TX/s", " eth1.100          1.25 MB  38.0 kB"},
		50: {" PARENT           STATE         RX/s     TX/s", " eth1.100         counting   1.25 MB  38.0 kB"},
		58: {" PARENT           STATE         RX/s     TX/s  LOCAL/s", " eth1.100         counting   1.25 MB  38.0 kB    100 B"},
		60: {
			" PARENT           STATE       IFS     RX/s     TX/s  LOCAL/s",
			" eth1.100         counting      3  1.25 MB  38.0 kB    100 B",
		},
		70: {
			" PARENT           STATE       IFS     RX/s     TX/s  LOCAL/s NETWORKS",
			" eth1.100         counting      3  1.25 MB  38.0 kB    100 B lan dmz",
		},
	} {
		s := newScene(t, width, 24).runSamples(2)
		if got := [2]string{s.lineWith(" PARENT"), s.lineWith(" eth1.100")}; got != want {
			t.Errorf("%d columns:\n%s\nwant\n%s", width, strings.Join(got[:], "\n"), strings.Join(want[:], "\n"))
		}
	}
	s := newScene(t, 40, 34).runSamples(3)
	s.pressKeys("down", "enter")
	if got, want := s.lineWith("external unicast"), " external unicast       100 kB  38.0 kB"; got != want {
		t.Errorf("traffic %q, want %q", got, want)
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
