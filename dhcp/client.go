package dhcp

import (
	"fmt"
	"net/netip"
	"time"

	"berth/specs"
)

// Client is a DHCP client, [Client4] or [Client6]. Its methods take the current
// time on one clock that never goes back, and return the actions to take. They
// are not for concurrent use.
type Client interface {
	// Start begins to ask for an address.
	Start(now time.Duration, m Memory) []Action
	// Receive takes a message that arrived at the client's port.
	Receive(now time.Duration, p Packet) []Action
	// Tick handles expired timers. It is called at the time of Wake, or at any other.
	Tick(now time.Duration) []Action
	// Wake returns the time of the next Tick, or ok = false if none is needed.
	Wake() (at time.Duration, ok bool)
	// Accept reports that no other host has the address of the last Obtained.
	Accept(now time.Duration) []Action
	// Decline reports that another host has it.
	Decline(now time.Duration) []Action
	// LinkUp reports that the link was down and is up again.
	LinkUp(now time.Duration) []Action
	// Release ends the lease. A Client4 sends one message and is Stopped. A Client6 is Releasing
	// until a server confirms it, or until it has repeated its message.
	Release(now time.Duration) []Action

	State() State
	Lease() *Lease  // the lease in use, or nil
	Seen() []string // what servers sent that led to no lease, the first few

	// Counts returns the messages that the client has sent, and those of servers
	// that were for it, by type. The caller may read and clear it.
	Counts() Counts
}

// Counts are numbers of messages by type, such as "discover".
type Counts map[string]uint64

// State is a state of a client: those of RFC 2131 section 4.4, for both protocols.
type State string

// The states of a client.
const (
	Init       State = "INIT"
	Selecting  State = "SELECTING"
	Requesting State = "REQUESTING"
	Rebooting  State = "REBOOTING" // asks whether a remembered lease still holds
	Checking   State = "CHECKING"  // waits for the probe of the address, see Accept and Decline
	Bound      State = "BOUND"
	Confirming State = "CONFIRMING" // bound; asks after the link was down
	Renewing   State = "RENEWING"
	Rebinding  State = "REBINDING"
	Informing  State = "INFORMING" // IPv6: asks for everything but an address
	Declining  State = "DECLINING" // IPv6: waits for the Reply to a Decline
	Releasing  State = "RELEASING" // IPv6: waits for the Reply to a Release
	Stopped    State = "STOPPED"
)

// Lease is a lease and the time at which its lifetimes began.
type Lease struct {
	specs.DHCPLease

	// Began is the time at which the request was sent that the server answered
	// (RFC 2131 section 4.4.5), on the clock of the client's methods.
	Began time.Duration `json:"began"`
}

// Ends returns the time at which the lease ends, or ok = false if it never does.
func (l *Lease) Ends() (at time.Duration, ok bool) {
	return l.Began + l.Lifetime.Duration(), l.Lifetime != specs.Forever
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// after returns the time at which a lifetime that began with the lease has passed.
func (l *Lease) after(s specs.Seconds) time.Duration {
	if s == specs.Forever {
		return never
	}
	return l.Began + s.Duration()
}

// Left returns the rest of a lifetime that began with the lease, rounded down, or
// Forever.
func (l *Lease) Left(of specs.Seconds, now time.Duration) specs.Seconds {
	if of == specs.Forever {
		return of
	}
	return specs.Seconds(max(0, l.Began+of.Duration()-now) / time.Second)
}

// Memory has the values of an earlier lease of the same client.
type Memory struct {
	Address netip.Addr // asked for again
	Held    bool       // it was not released, so that it may still hold
	Server  netip.Addr // IPv4: of the lease, or zero if not known
}

// maxReply is the size in bytes of the largest message that is read: that of an
// Ethernet frame. The codec takes time with the third power of a message's size to
// read the domains in it (compression pointers in rfc1035label.FromBytes).
const maxReply = 1500

// Packet is a received message.
type Packet struct {
	From    netip.Addr
	MAC     specs.MAC // of the frame
	Payload []byte    // of the UDP datagram

	Router         bool // it is a router advertisement instead
	Managed, Other bool // its flags M and O
}

// Action is something that the caller does for the client.
type Action struct {
	Kind Kind

	// Of Send.
	Type    string     // of the message, as "discover"
	Payload []byte     // of the UDP datagram
	From    netip.Addr // the client's address, or unspecified
	To      netip.Addr // the limited broadcast address, the group of servers, or a server
	MAC     specs.MAC  // of the frame, if To is a server; broadcast or the group's if zero

	Lease  *Lease // of Obtained, Renewed: the new one
	Old    *Lease // of Obtained, Renewed, Lost: the one so far, or nil
	Reason string // of Lost
}

// Kind is a kind of action.
type Kind int

// The kinds of actions.
const (
	Send      Kind = iota // send a message
	Obtained              // probe for the address, then call Accept or Decline
	Renewed               // the lease was extended: extend the address's lifetimes
	Lost                  // stop using the address now
	Unmanaged             // IPv6: the router announces no addresses by DHCPv6; Lease has the rest, or is nil
)

// notes are the first few sentences about messages that led to no lease.
type notes []string

const maxNotes = 8

func (n *notes) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(*n) >= maxNotes {
		return
	}
	for _, known := range *n {
		if known == text {
			return
		}
	}
	*n = append(*n, text)
}
