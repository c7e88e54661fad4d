package daemon

import (
	"berth/agent"
	"berth/agent/frame"
	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// describe turns a record of the datapath into an event. sender and owner are
// the attachments behind its slots, nil where there is none (any more); parent
// is the name of the interface.
func describe(raw bpf.RawEvent, sender, owner *state.Attachment, parent string) specs.Event {
	f := frame.Parse(raw.Bytes, raw.Length)
	return specs.Event{
		Time:      raw.Time,
		Kind:      raw.Kind,
		Certainty: raw.Certainty,
		Evidence:  raw.Evidence,
		Direction: raw.Direction,
		Parent:    parent,
		VLAN:      raw.VLAN,
		MAC:       f.Source,
		Sender:    party(sender),
		Owner:     party(owner),
		Frame:     f,
		LeftOut:   raw.LeftOut,
	}
}

func party(a *state.Attachment) *specs.Party {
	if a == nil {
		return nil
	}
	p := &specs.Party{Name: agent.NamesOf(a.Annotations).Name, Network: a.Network, Interface: a.Interface, MAC: a.MAC}
	if len(a.Containers) > 0 {
		p.ContainerID = a.Containers[0]
	}
	return p
}
