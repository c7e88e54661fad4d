package lease

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"berth/internal/state"
	"berth/internal/text"
	"berth/specs"
)

// ExhaustedError reports that a pool has no free address.
type ExhaustedError struct {
	Network string
	Range   netip.Prefix // the range of the pool
	Size    uint64       // number of addresses in the pool
	Held    uint64       // leases in its range, of any network
	Holders []Lease      // the first few of them
	Shared  string       // the pool domain, if nodes share the pool; Size is then this node's
	Why     string       // of a shared pool: why this node has no more of it, or ""

	Foreign []state.ForeignAddress // further addresses of the pool, which other programs have
}

// Error names the network, the number of addresses and their holders.
func (e *ExhaustedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", networkText(e.Network))
	switch {
	case e.Shared != "" && e.Size == 0:
		fmt.Fprintf(&b, "this node has no address of domain %q", e.Shared)
	case e.Shared != "":
		fmt.Fprintf(&b, "all %d addresses that this node has of domain %q are held", e.Size, e.Shared)
	case e.Size == 0:
		fmt.Fprintf(&b, "%s has no address to give out: all are reserved or excluded", e.Range)
	case e.Size == 1:
		fmt.Fprintf(&b, "the only address of %s is held", e.Range)
	default:
		fmt.Fprintf(&b, "all %s addresses of %s are held", sizeText(e.Size), e.Range)
	}
	for i, l := range e.Holders {
		b.WriteString([]string{", by ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%s (%s", holderText(l), l.Addr)
		if l.Network != e.Network {
			fmt.Fprintf(&b, ", %s", networkText(l.Network))
		}
		b.WriteString(")")
	}
	if more := e.Held - uint64(len(e.Holders)); len(e.Holders) > 0 && more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	if n := len(e.Foreign); n > 0 {
		fmt.Fprintf(&b, "; programs other than berth have %d, as %s (%s): choose an ip_range without theirs", n,
			e.Foreign[0].Addr, e.Foreign[0].Holder)
	}
	if e.Why != "" {
		fmt.Fprintf(&b, "; %s", e.Why)
	}
	return b.String()
}

// NotOwnedError reports that this node does not own a requested address or a MAC of a pool
// that nodes share.
type NotOwnedError struct {
	Domain string     // the pool domain
	Addr   netip.Addr // zero for a MAC
	MAC    specs.MAC  // zero for an address, and if this node has no prefix of MACs
	Why    string     // why this node cannot get it, or ""
}

// Error names the domain and the reason.
func (e *NotOwnedError) Error() string {
	text := fmt.Sprintf("this node has no prefix of MACs of domain %q", e.Domain)
	switch {
	case e.Addr.IsValid():
		text = fmt.Sprintf("this node does not own the address %s of domain %q", e.Addr, e.Domain)
	case !e.MAC.IsZero():
		text = fmt.Sprintf("MAC %s may be another node's of domain %q: request one with another first octet than 02, or none",
			e.MAC, e.Domain)
	}
	if e.Why != "" {
		text += "; " + e.Why
	}
	return text
}

// InUseError reports that another attachment holds an address or a MAC.
type InUseError struct {
	Holder Lease // its Addr or MAC is the requested one
}

// Error names the holder.
func (e *InUseError) Error() string {
	what := "address " + e.Holder.Addr.String()
	if !e.Holder.MAC.IsZero() {
		what = "MAC " + e.Holder.MAC.String()
	}
	if e.Holder.Reserved {
		return fmt.Sprintf("%s is reserved for another container (%s)", what, networkText(e.Holder.Network))
	}
	if e.Holder.Container == "" {
		return fmt.Sprintf("%s is in use by the host itself (%s)", what, networkText(e.Holder.Network))
	}
	_, ifname, _ := strings.Cut(e.Holder.Owner, "/")
	return fmt.Sprintf("%s is in use by container %s (%s, interface %s)",
		what, text.ShortID(e.Holder.Container), networkText(e.Holder.Network), ifname)
}

func networkText(name string) string {
	if name == "" {
		return "a network defined in place"
	}
	return fmt.Sprintf("network %q", name)
}

func sizeText(n uint64) string {
	if n == math.MaxUint64 {
		return "2^64 or more"
	}
	return fmt.Sprint(n)
}

// holderText returns the name of a lease's holder.
func holderText(l Lease) string {
	switch {
	case l.Reserved:
		return "a container that starts"
	case l.Container == "":
		return "the host itself"
	}
	return text.ShortID(l.Container)
}
