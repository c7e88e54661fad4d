package eventlog

import (
	"cmp"
	"fmt"
	"strconv"

	"berth/specs"
)

// Line is an event in a sentence, for a person. Control characters in what
// containers are called are escaped.
func Line(e *specs.Event) string {
	text := string(e.Kind)
	if e.Sender != nil {
		text += " by " + name(e.Sender)
	}
	if e.Receiver != nil {
		text += " to " + name(e.Receiver)
	}
	if e.Owner != nil {
		text += ", of " + name(e.Owner)
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

// name is what a person calls a container, quoted where it needs to be.
func name(p *specs.Party) string {
	plain := cmp.Or(p.Name, p.ContainerID)
	if quoted := strconv.Quote(plain); quoted != `"`+plain+`"` {
		return quoted
	}
	return plain
}
