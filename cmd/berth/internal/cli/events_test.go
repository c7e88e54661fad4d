package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"berth/internal/testnet"
	"berth/specs"
)

// eventAgo returns an event of a container, some time before the clock.
func eventAgo(ago time.Duration, sender *specs.Party) specs.Event {
	return specs.Event{
		Time: clock.Add(-ago), Kind: specs.MACSpoof, Certainty: specs.Certain, Evidence: "netns-cookie",
		Direction: "egress", Parent: "eth1.100", VLAN: 100, MAC: specs.FrameMAC(mustMAC("02:00:5e:00:53:99")), Sender: sender,
		Frame: specs.Frame{Source: specs.FrameMAC(mustMAC("02:00:5e:00:53:99")), Destination: "ff:ff:ff:ff:ff:ff", EtherType: "0x0806", Length: 42, Bytes: []byte{}},
	}
}

func webParty() *specs.Party {
	return &specs.Party{ContainerID: hexA, Name: "web", Network: "lan", Interface: "net1", MAC: mustMAC("02:00:5e:00:53:01")}
}

// TestEventColumns: a parent's longest name, or a sender's with wide characters, does not
// move the text after it.
func TestEventColumns(t *testing.T) {
	starts := make(map[int]bool)
	for _, name := range []string{"web", "ウェブサーバー", "ウェブサーバーの名前はとても長い", "e\u0301te\u0301", "🚀", "\U0001F1E9\U0001F1EA", "\x1b[31m"} {
		sender := webParty()
		sender.Name = name
		e := eventAgo(time.Minute, sender)
		if name == "web" {
			e.Parent = "enp129s0f1np1.9" // the longest: IFNAMSIZ
		}
		var b strings.Builder
		if err := writeEvent(&b, &e, time.UTC); err != nil {
			t.Fatal(err)
		}
		before, _, _ := strings.Cut(b.String(), "02:00:5e")
		starts[ansi.StringWidthWc(before)] = true
	}
	if len(starts) != 1 {
		t.Errorf("the text begins at the columns %v", starts)
	}
}

// TestKindsFitTheirColumn: no name of a kind moves the columns after it.
func TestKindsFitTheirColumn(t *testing.T) {
	var head strings.Builder
	writeEventHead(&head)
	for _, kind := range specs.EventKinds() {
		e := eventAgo(time.Minute, webParty())
		e.Kind = kind
		var b strings.Builder
		if err := writeEvent(&b, &e, time.UTC); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Index(b.String(), "certain"), strings.Index(head.String(), "CERTAINTY"); got != want {
			t.Errorf("%s: CERTAINTY is at column %d, not at %d", kind, got, want)
		}
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.mustFail(exitFailed, "no agent is running", "events")
	ring := w.startAgent(new(backend))
	mustEqual(t, "no events", "", w.mustRun("events"))
	mustEqual(t, "no events, said", "berth: no events\n", w.err.String())
	mustEqual(t, "no events, JSON", "", w.mustRun("events", "--json"))
	ring.Add(eventAgo(time.Hour, nil))
	late := eventAgo(time.Minute, webParty())
	late.LeftOut, late.Certainty = 12, specs.Suspected
	ring.Add(late)
	const head = "TIME             KIND                CERTAINTY  PARENT           SENDER                WHAT\n"
	const first = "May  4 11:00:00  mac-spoof           certain    eth1.100         ?                     02:00:5e:00:53:99 > ff:ff:ff:ff:ff:ff 0x0806\n"
	const second = "May  4 11:59:00  mac-spoof           suspected  eth1.100         web                   02:00:5e:00:53:99 > ff:ff:ff:ff:ff:ff 0x0806 (+12)\n"
	for line, want := range map[string]string{
		"events":                              head + first + second,
		"events --kind mac-spoof":             head + first + second,
		"events --since 10m":                  head + second,
		"events --since 2026-05-04T12:30:00Z": "",
		"events --since 2026-05-04T11:30":     head + second,
		"events --container web":              head + second,
		"events --container 3f2a":             head + second,
		"events --container db":               "",
	} {
		mustEqual(t, line, want, w.mustRun(strings.Fields(line)...))
	}
	lines := strings.Split(strings.TrimSpace(w.mustRun("events", "--json")), "\n")
	var e specs.Event
	if len(lines) != 2 || json.Unmarshal([]byte(lines[1]), &e) != nil || e.LeftOut != 12 || e.Sender.Name != "web" {
		t.Errorf("events --json: %q", lines)
	}
}

func TestEventText(t *testing.T) {
	frame := specs.Frame{Destination: "02:00:5e:00:53:02", EtherType: "0x0800", Protocol: "udp",
		SourceIP: mustAddr("192.0.2.1"), DestinationIP: mustAddr("2001:db8::1"), DestinationPort: 67}
	db := &specs.Party{ContainerID: hexB}
	for want, e := range map[string]specs.Event{
		"is macvlan private, declared macvlan bridge": {Kind: specs.ModeDrift, Detail: "is macvlan private, declared macvlan bridge"},
		"02:00:5e:00:53:01 > 02:00:5e:00:53:02 192.0.2.1 > [2001:db8::1]:67 udp, to 3f2b00c04b7e, of web, dropped (+3)": {
			MAC: specs.FrameMAC(mustMAC("02:00:5e:00:53:01")), Frame: frame, Receiver: db, Owner: webParty(), Dropped: true, LeftOut: 3},
	} {
		mustEqual(t, string(e.Kind), want, eventText(&e))
	}
}

func TestEventsUsage(t *testing.T) {
	w := newWorld(t)
	w.mustFail(exitUsage, `berth events: --kind "mac-spoofing": want one of mac-spoof`, "events", "--kind", "mac-spoofing")
	for _, since := range []string{"yesterday", "-5m", "-10", "2026-13-01"} {
		w.mustFail(exitUsage, `--since "`+since+`": want a duration ago`, "events", "--since="+since)
	}
}

func TestParseSince(t *testing.T) {
	zone := time.FixedZone("east", 7200)
	now := clock.In(zone)
	for s, want := range map[string]time.Time{
		"0":                         clock,
		"90s":                       clock.Add(-90 * time.Second),
		"2026-05-04T11:30:00Z":      clock.Add(-30 * time.Minute),
		"2026-05-04T13:30:00+02:00": clock.Add(-30 * time.Minute),
		"2026-05-04T13:30:00":       clock.Add(-30 * time.Minute),
		"2026-05-04 13:30:00":       clock.Add(-30 * time.Minute),
		"2026-05-04T13:30":          clock.Add(-30 * time.Minute),
		"2026-05-04":                clock.Add(-14 * time.Hour),
		"1777896000":                clock,
	} {
		if got, err := parseSince(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v (%v), want %v", s, got, err, want)
		}
	}
}

// TestEventsFollow: events are shown as they arrive, until the command is interrupted,
// which is no error.
func TestEventsFollow(t *testing.T) {
	w := newWorld(t)
	ring := w.startAgent(new(backend))
	ring.Add(eventAgo(time.Minute, webParty()))
	out := new(testnet.Output)
	w.env.Out = out
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- Main(ctx, []string{"--state", w.dir + "/run", "events", "-f", "--json"}, w.env) }()
	waitFor(t, func() bool { return strings.Count(out.String(), "\n") == 1 })
	ring.Add(eventAgo(0, nil))
	waitFor(t, func() bool { return strings.Count(out.String(), "\n") == 2 })
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("exit %d after an interrupt: %s", got, &w.err)
	}
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come about in a minute")
		}
	}
}
