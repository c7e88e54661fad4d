package specs

// Count is a number of frames. Packets are wire segments: a super-packet of
// segmentation offload counts as its number of segments. Bytes are from the
// Ethernet header to the end of the payload of every segment, without VLAN
// tag, padding and FCS.
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Plus returns the sum of two counts.
func (c Count) Plus(d Count) Count {
	return Count{Packets: c.Packets + d.Packets, Bytes: c.Bytes + d.Bytes}
}

// Broken counts the packets that broke a rule, and the dropped ones among them.
type Broken struct{ Packets, Dropped uint64 }

// Plus returns the sum of two counts.
func (b Broken) Plus(c Broken) Broken {
	return Broken{Packets: b.Packets + c.Packets, Dropped: b.Dropped + c.Dropped}
}

// SplitBroken returns violations in the form of an [Endpoint]. It omits kinds
// with a count of 0.
func SplitBroken(all map[Kind]Broken) (violations, dropped map[Kind]uint64) {
	for kind, n := range all {
		violations = withCount(violations, kind, n.Packets)
		dropped = withCount(dropped, kind, n.Dropped)
	}
	return violations, dropped
}

func withCount(m map[Kind]uint64, kind Kind, n uint64) map[Kind]uint64 {
	if n == 0 {
		return m
	}
	if m == nil {
		m = make(map[Kind]uint64)
	}
	m[kind] = n
	return m
}

// Casts splits a count by the destination address of the frames.
type Casts struct {
	Unicast   Count `json:"unicast"`
	Multicast Count `json:"multicast"`
	Broadcast Count `json:"broadcast"`
}

// Total returns the sum of all casts.
func (c Casts) Total() Count { return c.Unicast.Plus(c.Multicast).Plus(c.Broadcast) }

// Plus returns the sum of two splits.
func (c Casts) Plus(d Casts) Casts {
	return Casts{
		Unicast:   c.Unicast.Plus(d.Unicast),
		Multicast: c.Multicast.Plus(d.Multicast),
		Broadcast: c.Broadcast.Plus(d.Broadcast),
	}
}

// Traffic is one direction of an endpoint, from the container's view, split
// by the other end: a sibling on the same parent, or the LAN.
type Traffic struct {
	Local    Casts `json:"local"`
	External Casts `json:"external"`
}

// Total returns the sum of both scopes.
func (t Traffic) Total() Count { return t.Local.Total().Plus(t.External.Total()) }

// Counters are the counts of one endpoint since its attachment. They never
// decrease during an attachment.
type Counters struct {
	Receive  Traffic `json:"receive"`
	Transmit Traffic `json:"transmit"`
}

// Plus returns the sum of two sets of counters.
func (c Counters) Plus(d Counters) Counters {
	return Counters{
		Receive: Traffic{Local: c.Receive.Local.Plus(d.Receive.Local),
			External: c.Receive.External.Plus(d.Receive.External)},
		Transmit: Traffic{Local: c.Transmit.Local.Plus(d.Transmit.Local),
			External: c.Transmit.External.Plus(d.Transmit.External)},
	}
}
