package traffic

import (
	"net/netip"
	"strings"
	"testing"

	"berth/specs"
)

// TestAlarmNamesItsContainers requires the names of the containers, or the ID of one without a name.
func TestAlarmNamesItsContainers(t *testing.T) {
	e := &specs.Event{Kind: specs.MACSpoof, Parent: "eth1", Certainty: specs.Suspected, Detail: "why",
		Sender:   &specs.Party{ContainerID: "0123", Name: "web", Network: "lan", Interface: "net1", MAC: specs.MAC{2, 0, 0, 0, 0, 1}},
		Receiver: &specs.Party{ContainerID: "4567", Interface: "eth0"},
		Frame:    specs.Frame{EtherType: "0x0800", Protocol: "udp", SourceIP: netip.MustParseAddr("192.0.2.7")}}
	got := AlarmText(e)
	for _, want := range []string{"mac-spoof at eth1", "sender web (interface net1, MAC 02:00:00:00:00:01, network lan)",
		"receiver 4567 (interface eth0", "network of another program", "udp", "192.0.2.7", "why", "suspected"} {
		if !strings.Contains(got, want) {
			t.Errorf("text %q lacks %q", got, want)
		}
	}
	if drift := AlarmText(&specs.Event{Kind: specs.AddressDrift, Parent: "eth1"}); strings.Contains(drift, "frame") {
		t.Errorf("text %q of an event without a frame", drift)
	}
}
