package daemon

import (
	"berth/agent/frame"
	"berth/bpf"
	"berth/specs"
)

// eventOf returns the event of a raw event of the datapath. sender, owner and receiver are the
// attachments that hold its slots, nil if none does; parent is the interface's name.
func eventOf(raw bpf.RawEvent, sender, owner, receiver *record, parent string) specs.Event {
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
		Sender:    partyOf(sender),
		Owner:     partyOf(owner),
		Receiver:  partyOf(receiver),
		Dropped:   raw.Dropped,
		Frame:     f,
		LeftOut:   raw.LeftOut,
	}
}

func partyOf(r *record) *specs.Party {
	if r == nil {
		return nil
	}
	origin := specs.OriginBerth
	if r.observed {
		origin = specs.OriginObserved
	}
	return &specs.Party{ContainerID: r.ContainerID, Name: r.Name, Network: r.Network, Interface: r.Interface,
		MAC: r.MAC, Origin: origin, EngineNetwork: r.rareFacts().engineNet}
}
