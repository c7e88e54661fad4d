package lease

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"berth/internal/text"
)

// ExhaustedError reports that a pool has no free address.
type ExhaustedError struct {
	Network string
	Range   netip.Prefix // the range of the pool
	Size    uint64       // number of addresses in the pool
	Held    uint64       // leases in its range, of any network
	Holders []Lease      // the first few of them
}

// Error names the network, the number of addresses and their holders.
func (e *ExhaustedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", networkText(e.Network))
	switch e.Size {
	case 0:
		fmt.Fprintf(&b, "%s has no address to give out: all are reserved or excluded", e.Range)
	case 1:
		fmt.Fprintf(&b, "the only address of %s is held", e.Range)
	default:
		fmt.Fprintf(&b, "all %s addresses of %s are held", sizeText(e.Size), e.Range)
	}
	for i, l := range e.Holders {
		b.WriteString([]string{", by ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%s (%s", holderText(l.Container), l.Addr)
		if l.Network != e.Network {
			fmt.Fprintf(&b, ", %s", networkText(l.Network))
		}
		b.WriteString(")")
	}
	if more := e.Held - uint64(len(e.Holders)); len(e.Holders) > 0 && more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
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
func holderText(container string) string {
	if container == "" {
		return "the host itself"
	}
	return text.ShortID(container)
}
