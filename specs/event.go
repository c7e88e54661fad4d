package specs

import (
	"net/netip"
	"time"
)

// Kind is a way in which traffic breaks the mode of an interface. Each is
// defined in specs/violations.md.
type Kind string

// The kinds of violation.
const (
	MACSpoof Kind = "mac-spoof"
)

// Kinds returns every kind, in the order of their numbers in the datapath,
// which starts at 0.
func Kinds() []Kind { return []Kind{MACSpoof} }

// Certainty is how sure the evidence of an event is.
type Certainty string

// How sure an event is.
const (
	Certain   Certainty = "certain"
	Suspected Certainty = "suspected"
)

// Event is one violation, or the first of several that were alike: a line of
// `berth events --json` and of GET /v1/events. Its schema is
// specs/schema/event.json.
type Event struct {
	Time      time.Time `json:"time"`
	Kind      Kind      `json:"kind"`
	Certainty Certainty `json:"certainty"`
	Evidence  string    `json:"evidence"`  // what told the sender: "netns-cookie", "source-address"
	Direction string    `json:"direction"` // at the parent: "egress" or "ingress"
	Parent    string    `json:"parent"`
	VLAN      int       `json:"vlan,omitempty"`
	MAC       FrameMAC  `json:"mac"`              // the frame's source
	Sender    *Party    `json:"sender,omitempty"` // who really sent it, where that is known
	Owner     *Party    `json:"owner,omitempty"`  // whose MAC or address it is, where that is an endpoint's
	Frame     Frame     `json:"frame"`
	LeftOut   uint64    `json:"left_out"` // events like this that the rate limit held back since the last
}

// Party is an endpoint as an event names it.
type Party struct {
	ContainerID string `json:"container_id"`
	Name        string `json:"name,omitempty"`
	Network     string `json:"network"`
	Interface   string `json:"interface"`
	MAC         MAC    `json:"mac"`
}

// Frame is a summary of the frame that an event is about.
type Frame struct {
	Source          FrameMAC   `json:"source"`
	Destination     string     `json:"destination"` // a MAC; may be a group's
	EtherType       string     `json:"ethertype"`   // "0x0800"
	Protocol        string     `json:"protocol,omitempty"`
	SourceIP        netip.Addr `json:"source_ip,omitzero"`
	DestinationIP   netip.Addr `json:"destination_ip,omitzero"`
	SourcePort      uint16     `json:"source_port,omitempty"`
	DestinationPort uint16     `json:"destination_port,omitempty"`
	Length          uint32     `json:"length"` // bytes, Ethernet header included
	Bytes           []byte     `json:"bytes"`  // the first of it, base64 in JSON
}
