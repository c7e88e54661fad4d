package specs

import (
	"net/netip"
	"time"
)

// Kind is the kind of an event: a kind of violation, each of which specs/violations.md
// defines, or a notice.
type Kind string

// The kinds of violation.
const (
	MACSpoof        Kind = "mac-spoof"
	IPSpoof         Kind = "ip-spoof"
	PrivateLeak     Kind = "private-leak"
	PrivateAttempt  Kind = "private-attempt"
	VEPAUnreflected Kind = "vepa-unreflected"
	VEPABypass      Kind = "vepa-bypass"
	Reflected       Kind = "reflected"
	DuplicateMAC    Kind = "duplicate-mac"
	DuplicateIP     Kind = "duplicate-ip"
	ModeDrift       Kind = "mode-drift"
	MACDrift        Kind = "mac-drift"
	AddressDrift    Kind = "address-drift"
	PassthruShared  Kind = "passthru-shared"
	SourceDenied    Kind = "source-denied"
	HostIsolation   Kind = "host-isolation"
	RogueDHCP       Kind = "rogue-dhcp"
	RogueRA         Kind = "rogue-ra"
	Unanswered      Kind = "unanswered"
)

// The kinds of notices: events that are no violation.
const (
	LeaseChanged Kind = "lease-changed" // a DHCP server replaced a container's address, or leased one after a loss
	LeaseLost    Kind = "lease-lost"    // a DHCP lease ended or was refused, and the address is gone

	InterfaceVanished Kind = "interface-vanished" // an interface vanished with its parent; its container lives
	InterfaceHealed   Kind = "interface-healed"   // an interface that vanished with its parent was made again
)

// Notices returns the kinds of events that are no violation.
func Notices() []Kind { return []Kind{LeaseChanged, LeaseLost, InterfaceVanished, InterfaceHealed} }

// EventKinds returns every kind that an event can have.
func EventKinds() []Kind { return append(Kinds(), Notices()...) }

// Kinds returns the kinds of violation, in the order of their numbers in the datapath,
// which starts at 0.
func Kinds() []Kind {
	return []Kind{
		MACSpoof, IPSpoof, PrivateLeak, PrivateAttempt, VEPAUnreflected, VEPABypass,
		Reflected, DuplicateMAC, DuplicateIP, ModeDrift, MACDrift, AddressDrift,
		PassthruShared, SourceDenied, HostIsolation, RogueDHCP, RogueRA, Unanswered,
	}
}

// Judge is the part of berth that reports the events of a kind.
type Judge string

// The judges.
const (
	JudgeDatapath Judge = "datapath" // the programs on parents and the sibling program, frame by frame
	JudgeAgent    Judge = "agent"    // the agent, by netlink and by the counters
)

// Judge returns the part of berth that reports the events of the kind. The agent reports
// duplicate-ip too, which the datapath judges.
func (k Kind) Judge() Judge {
	switch k {
	case ModeDrift, MACDrift, AddressDrift, PassthruShared, Unanswered, LeaseChanged, LeaseLost, InterfaceVanished,
		InterfaceHealed:
		return JudgeAgent
	}
	return JudgeDatapath
}

// Evidence is the fact by which a violation or its sender was recognised. Each
// is defined in specs/violations.md.
type Evidence string

// The evidences.
const (
	ByNetnsCookie  Evidence = "netns-cookie"
	BySocket       Evidence = "socket"
	BySourceMAC    Evidence = "source-mac"
	BySourceIP     Evidence = "source-address"
	ByFrameCopy    Evidence = "frame-copy"
	ByNotSent      Evidence = "not-sent"
	ByNoReflection Evidence = "no-reflection"
	ByClaim        Evidence = "claimed-address"
	ByUnreadable   Evidence = "unreadable"
	ByNetlink      Evidence = "netlink"
	ByCounters     Evidence = "counters"
	ByLease        Evidence = "lease"
)

// Evidences returns every evidence; those of the datapath come first, in the
// order of their numbers there, which starts at 0.
func Evidences() []Evidence {
	return []Evidence{
		ByNetnsCookie, BySourceIP, BySocket, BySourceMAC, ByFrameCopy, ByNotSent, ByNoReflection, ByClaim, ByUnreadable,
		ByNetlink, ByCounters, ByLease,
	}
}

// Certainty is the reliability of the evidence of an event.
type Certainty string

// The certainties.
const (
	Certain   Certainty = "certain"
	Suspected Certainty = "suspected"
)

// Event is one violation, the first of several similar ones, or a notice: a line of
// `berth events --json` and of GET /v1/events. Its schema is specs/schema/event.json.
type Event struct {
	Time      time.Time `json:"time"`
	Kind      Kind      `json:"kind"`
	Certainty Certainty `json:"certainty"`
	Evidence  Evidence  `json:"evidence"`
	Direction string    `json:"direction,omitempty"` // at the parent: "egress" or "ingress"; "" if there is no frame
	Parent    string    `json:"parent"`
	VLAN      int       `json:"vlan,omitempty"`
	MAC       FrameMAC  `json:"mac,omitzero"`       // the frame's source
	Sender    *Party    `json:"sender,omitempty"`   // the real sender, or the endpoint that it is about, if known
	Owner     *Party    `json:"owner,omitempty"`    // the endpoint that owns the MAC or address, if there is one
	Receiver  *Party    `json:"receiver,omitempty"` // the endpoint that the frame is for, if there is one
	Detail    string    `json:"detail,omitempty"`   // without a frame: the declared and the actual state
	Frame     Frame     `json:"frame,omitzero"`     // absent if there is none
	Dropped   bool      `json:"dropped,omitempty"`  // the network enforces the kind
	LeftOut   uint64    `json:"left_out"`           // similar events that the rate limit suppressed since the last
}

// Party is an endpoint in an event.
type Party struct {
	ContainerID string `json:"container_id"`
	Name        string `json:"name,omitempty"`
	Network     string `json:"network"`
	Interface   string `json:"interface"`
	MAC         MAC    `json:"mac"`
	Origin      Origin `json:"origin,omitempty"` // absent in the events of agents before this key

	// EngineNetwork is the network of another program that an observed interface is on, or nil if unknown.
	EngineNetwork *EngineNetwork `json:"engine_network,omitempty"`
}

// Frame is a summary of the frame that an event is about.
type Frame struct {
	Source          FrameMAC   `json:"source"`
	Destination     string     `json:"destination"` // a MAC; may be a group address
	EtherType       string     `json:"ethertype"`   // "0x0800"
	Protocol        string     `json:"protocol,omitempty"`
	SourceIP        netip.Addr `json:"source_ip,omitzero"`
	DestinationIP   netip.Addr `json:"destination_ip,omitzero"`
	SourcePort      uint16     `json:"source_port,omitempty"`
	DestinationPort uint16     `json:"destination_port,omitempty"`
	Length          uint32     `json:"length"` // bytes, Ethernet header included
	Bytes           []byte     `json:"bytes"`  // the first bytes of the frame, base64 in JSON
}
