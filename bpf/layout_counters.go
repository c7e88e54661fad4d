package bpf

import (
	"berth/specs"
)

type count struct {
	Packets uint64
	Bytes   uint64
}

// The members of counters: enum counter in c/layout.h.
const (
	atReceiveLocal = iota
	atReceiveExternal
	atTransmitLocal
	atTransmitExternal // and the two casts after unicast
	numCounters        = atTransmitExternal + 3
)

// counters are the counters of a slot.
type counters struct{ At [numCounters]count }

func (c *counters) toSpecs() (k specs.Counters) {
	c.addTo(&k)
	return k
}

// addTo adds in place: to sum and convert one by one would take a fifth of the reading time.
func (c *counters) addTo(k *specs.Counters) {
	addCount(&k.Receive.Local.Unicast, &c.At[atReceiveLocal])
	addCount(&k.Receive.External.Unicast, &c.At[atReceiveExternal])
	addCount(&k.Transmit.Local.Unicast, &c.At[atTransmitLocal])
	addCount(&k.Transmit.External.Unicast, &c.At[atTransmitExternal])
	addCount(&k.Transmit.External.Multicast, &c.At[atTransmitExternal+1])
	addCount(&k.Transmit.External.Broadcast, &c.At[atTransmitExternal+2])
}

func addCount(to *specs.Count, n *count) {
	to.Packets += n.Packets
	to.Bytes += n.Bytes
}

func (c *counters) addCounters(d *counters) {
	for i := range c.At {
		c.At[i].Packets += d.At[i].Packets
		c.At[i].Bytes += d.At[i].Bytes
	}
}
