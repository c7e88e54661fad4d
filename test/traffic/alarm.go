package traffic

import (
	"cmp"
	"fmt"
	"strings"

	"berth/specs"
)

// AlarmText describes an event with the containers that it names, so that a false alarm can be traced.
func AlarmText(e *specs.Event) string {
	parts := []string{string(e.Kind) + " at " + e.Parent}
	for _, p := range []struct {
		role string
		of   *specs.Party
	}{{"sender", e.Sender}, {"owner", e.Owner}, {"receiver", e.Receiver}} {
		if p.of != nil {
			parts = append(parts, fmt.Sprintf("%s %s (interface %s, MAC %s, network %s)", p.role,
				cmp.Or(p.of.Name, p.of.ContainerID), p.of.Interface, p.of.MAC, cmp.Or(p.of.Network, "of another program")))
		}
	}
	if f := &e.Frame; f.EtherType != "" {
		parts = append(parts, fmt.Sprintf("frame %s from %s (%s) to %s (%s)", cmp.Or(f.Protocol, f.EtherType),
			f.Source, f.SourceIP, f.Destination, f.DestinationIP))
	}
	for _, text := range []string{e.Detail, string(e.Certainty), string(e.Evidence)} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}
