package eventlog

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) { testnet.Main(m) }

func spoofEvent() *specs.Event {
	return &specs.Event{
		Time: time.Unix(1, 0).UTC(), Kind: specs.MACSpoof, Certainty: specs.Certain, Evidence: specs.ByNetnsCookie,
		Direction: "egress", Parent: "eth1.100", VLAN: 100, MAC: specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 0x66},
		Sender: &specs.Party{ContainerID: "3f2a", Name: "web\nBERTH_KIND=none", Network: "lan", Interface: "net1", MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1}, Origin: specs.OriginObserved},
		Frame: specs.Frame{
			Source: specs.FrameMAC{2, 0, 0x5e, 0, 0x53, 0x66}, Destination: "02:00:5e:00:53:02", EtherType: "0x0800",
			SourceIP: netip.MustParseAddr("192.0.2.9"), DestinationIP: netip.MustParseAddr("192.0.2.250"), Length: 42, Bytes: []byte{},
		},
		Dropped: true, LeftOut: 7,
	}
}

// fieldsSent reads an entry of the journal's protocol: NAME=VALUE lines, and
// NAME, newline, eight bytes of length, the value, for values with newlines.
func fieldsSent(t *testing.T, b []byte) map[string]string {
	t.Helper()
	fields := make(map[string]string)
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		key, value, plain := bytes.Cut(line, []byte("="))
		if !plain {
			size := int(rest[0]) | int(rest[1])<<8
			value, rest = rest[8:8+size], rest[8+size+1:]
		}
		if _, twice := fields[string(key)]; twice {
			t.Errorf("field %s twice", key)
		}
		fields[string(key)], b = string(value), rest
	}
	return fields
}

func TestJournal(t *testing.T) {
	testnet.Need(t, testnet.Root)
	if JournalRuns() {
		t.Fatal("the test sees a journal before it made one")
	}
	if err := os.MkdirAll("/run/systemd/journal", 0o755); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/run/systemd/journal/socket", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !JournalRuns() {
		t.Fatal("it does not see the journal")
	}
	e := spoofEvent()
	if err := (Journal{}).Write(e); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	got := fieldsSent(t, buf[:n])
	var whole specs.Event
	if err := json.Unmarshal([]byte(got["BERTH_EVENT"]), &whole); err != nil || whole.LeftOut != 7 || whole.Kind != specs.MACSpoof {
		t.Errorf("BERTH_EVENT %q: %v", got["BERTH_EVENT"], err)
	}
	delete(got, "BERTH_EVENT")
	want := map[string]string{
		"MESSAGE_ID": MessageID, "SYSLOG_IDENTIFIER": "berthd", "PRIORITY": "4",
		"MESSAGE":    `mac-spoof by "web\nBERTH_KIND=none" at eth1.100: 02:00:5e:00:53:66 to 02:00:5e:00:53:02, 192.0.2.9 to 192.0.2.250, dropped; 7 more like it`,
		"BERTH_KIND": "mac-spoof", "BERTH_CERTAINTY": "certain", "BERTH_EVIDENCE": "netns-cookie", "BERTH_DIRECTION": "egress",
		"BERTH_PARENT": "eth1.100", "BERTH_VLAN": "100", "BERTH_LEFT_OUT": "7", "BERTH_DROPPED": "1",
		"BERTH_MAC": "02:00:5e:00:53:66", "BERTH_DESTINATION": "02:00:5e:00:53:02",
		"BERTH_SOURCE_IP": "192.0.2.9", "BERTH_DESTINATION_IP": "192.0.2.250",
		"BERTH_SENDER_ID": "3f2a", "BERTH_SENDER_NAME": "web\nBERTH_KIND=none", "BERTH_SENDER_NETWORK": "lan",
		"BERTH_SENDER_INTERFACE": "net1", "BERTH_SENDER_MAC": "02:00:5e:00:53:01", "BERTH_SENDER_ORIGIN": "observed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the entry (-want +got):\n%s", diff)
	}
}

func TestLineOfEvent(t *testing.T) {
	party := func(id string) *specs.Party { return &specs.Party{ContainerID: id} }
	for want, e := range map[string]*specs.Event{
		"mode-drift by web at eth1: is macvlan private, recorded is macvlan bridge": {Kind: specs.ModeDrift, Parent: "eth1", Sender: party("web"), Detail: "is macvlan private, recorded is macvlan bridge"},
		"private-leak by web to db at eth1 (suspected)":                             {Kind: specs.PrivateLeak, Certainty: specs.Suspected, Parent: "eth1", Sender: party("web"), Receiver: party("db")},
		"duplicate-ip, of web at a parent that is gone":                             {Kind: specs.DuplicateIP, Owner: party("web")},
	} {
		if got := Line(e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if strings.Contains(Line(spoofEvent()), "\n") {
		t.Error("a name breaks the line")
	}
}
