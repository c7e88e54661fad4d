package web

import "berth/specs"

// numbers are the counts of an endpoint, in the order of direction (receive, transmit), scope
// (local, external), cast (unicast, multicast, broadcast) and unit (packets, bytes). The unit
// changes fastest.
type numbers [24]uint64

func numbersOf(c *specs.Counters) (n numbers) {
	for i, casts := range []specs.Casts{c.Receive.Local, c.Receive.External, c.Transmit.Local, c.Transmit.External} {
		for j, count := range []specs.Count{casts.Unicast, casts.Multicast, casts.Broadcast} {
			at := 2 * (3*i + j)
			n[at], n[at+1] = count.Packets, count.Bytes
		}
	}
	return n
}

// minus returns the differences to earlier numbers, none of which is greater.
func (n numbers) minus(earlier numbers) numbers {
	for i := range n {
		n[i] -= earlier[i]
	}
	return n
}

// appendPacked appends the numbers of an endpoint to a list: its id, a mask with bit i set if
// number i is not 0, and the numbers that are not 0.
func appendPacked(all []uint64, id uint64, n numbers) []uint64 {
	at := len(all) + 1
	all = append(all, id, 0)
	for i, v := range n {
		if v != 0 {
			all[at] |= 1 << i
			all = append(all, v)
		}
	}
	return all
}
