package eventlog

import (
	"cmp"
	"fmt"
	"strconv"

	"berth/specs"
)

// Line returns a sentence about an event. It escapes control characters in containers' names.
func Line(e *specs.Event) string {
	text := string(e.Kind)
	if e.Sender != nil {
		text += " by " + partyName(e.Sender)
	}
	if e.Receiver != nil {
		text += " to " + partyName(e.Receiver)
	}
	if e.Owner != nil {
		text += ", of " + partyName(e.Owner)
	}
	text += " at " + cmp.Or(e.Parent, "a parent that is gone")
	switch {
	case e.Detail != "":
		text += ": " + e.Detail
	case e.Frame.SourceIP.IsValid():
		text += fmt.Sprintf(": %s to %s, %s to %s", e.MAC, e.Frame.Destination, e.Frame.SourceIP, e.Frame.DestinationIP)
	case hasFrame(e):
		text += fmt.Sprintf(": %s to %s", e.MAC, e.Frame.Destination)
	}
	if e.Certainty == specs.Suspected {
		text += " (suspected)"
	}
	if e.Dropped {
		text += ", dropped"
	}
	if e.LeftOut > 0 {
		text += fmt.Sprintf("; %d more like it", e.LeftOut)
	}
	return text
}

// partyName returns a container's name for a person, quoted if necessary.
func partyName(p *specs.Party) string {
	plain := cmp.Or(p.Name, p.ContainerID)
	if quoted := strconv.Quote(plain); quoted != `"`+plain+`"` {
		return quoted
	}
	return plain
}
