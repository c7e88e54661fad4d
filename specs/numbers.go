package specs

import (
	"errors"
	"math/bits"
)

// Numbers are the counts of an endpoint, in the order of direction (receive, transmit), scope
// (local, external), cast (unicast, multicast, broadcast) and unit (packets, bytes). The unit
// changes fastest.
type Numbers [24]uint64

// Numbers returns the counters as a list.
func (c *Counters) Numbers() (n Numbers) {
	for i, count := range c.list() {
		n[2*i], n[2*i+1] = count.Packets, count.Bytes
	}
	return n
}

// list returns the counters in the order of Numbers.
func (c *Counters) list() (all [12]*Count) {
	for i, casts := range []*Casts{&c.Receive.Local, &c.Receive.External, &c.Transmit.Local, &c.Transmit.External} {
		all[3*i], all[3*i+1], all[3*i+2] = &casts.Unicast, &casts.Multicast, &casts.Broadcast
	}
	return all
}

// Counters returns the numbers as counters.
func (n *Numbers) Counters() (c Counters) {
	for i, count := range c.list() {
		count.Packets, count.Bytes = n[2*i], n[2*i+1]
	}
	return c
}

// Minus returns the differences to earlier numbers, none of which is greater.
func (n Numbers) Minus(earlier Numbers) Numbers {
	for i := range n {
		n[i] -= earlier[i]
	}
	return n
}

// AppendPacked appends the numbers of an endpoint to a list: its id, a mask with bit i set if
// number i is not 0, and the numbers that are not 0.
func AppendPacked(all []uint64, id uint64, n *Numbers) []uint64 {
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

// errPacked is the error of a list that AppendPacked does not make.
var errPacked = errors.New("list of packed counts: an endpoint is cut off, or its mask has more than 24 bits")

// EachPacked calls fn for each endpoint of a list that AppendPacked made. fn must not keep the
// pointer.
func EachPacked(all []uint64, fn func(id uint64, n *Numbers)) error {
	for len(all) > 0 {
		if len(all) < 2 || all[1]>>len(Numbers{}) != 0 || len(all) < 2+bits.OnesCount64(all[1]) {
			return errPacked
		}
		var n Numbers
		id, mask := all[0], all[1]
		for all = all[2:]; mask != 0; mask &= mask - 1 {
			n[bits.TrailingZeros64(mask)] = all[0]
			all = all[1:]
		}
		fn(id, &n)
	}
	return nil
}
