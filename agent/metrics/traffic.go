package metrics

import (
	"bufio"
	"strconv"
	"strings"

	"berth/specs"
)

// Family is one traffic metric.
type Family struct {
	Name, Help string
	Unit       string // in UCUM notation
	direction  func(*specs.Counters) *specs.Traffic
	value      func(specs.Count) uint64
}

func receiveTraffic(c *specs.Counters) *specs.Traffic  { return &c.Receive }
func transmitTraffic(c *specs.Counters) *specs.Traffic { return &c.Transmit }
func packetCount(c specs.Count) uint64                 { return c.Packets }
func byteCount(c specs.Count) uint64                   { return c.Bytes }

// Families are the traffic metrics.
var Families = []Family{
	{"berth_network_receive_packets_total", "Packets that the container received, in wire segments.", "{packet}",
		receiveTraffic, packetCount},
	{"berth_network_receive_bytes_total", "Bytes that the container received, Ethernet header to end of payload.", "By",
		receiveTraffic, byteCount},
	{"berth_network_transmit_packets_total", "Packets that the container sent, in wire segments.", "{packet}",
		transmitTraffic, packetCount},
	{"berth_network_transmit_bytes_total", "Bytes that the container sent, Ethernet header to end of payload.", "By",
		transmitTraffic, byteCount},
}

const infoHelp = "An interface that berth attached, by the names of its container."

// Part is one part of a split metric.
type Part struct {
	Scope, Cast string // "" if not split by it
	labels      string // rendered
	countOf     func(*specs.Traffic) specs.Count
}

func newPart(scope, cast string, of func(*specs.Traffic) specs.Count) Part {
	return Part{scope, cast, `,scope="` + scope + `",cast="` + cast + `"`, of}
}

var (
	wholeParts = []Part{{countOf: func(t *specs.Traffic) specs.Count { return t.Total() }}}
	splitParts = []Part{
		newPart("local", "unicast", func(t *specs.Traffic) specs.Count { return t.Local.Unicast }),
		newPart("local", "multicast", func(t *specs.Traffic) specs.Count { return t.Local.Multicast }),
		newPart("local", "broadcast", func(t *specs.Traffic) specs.Count { return t.Local.Broadcast }),
		newPart("external", "unicast", func(t *specs.Traffic) specs.Count { return t.External.Unicast }),
		newPart("external", "multicast", func(t *specs.Traffic) specs.Count { return t.External.Multicast }),
		newPart("external", "broadcast", func(t *specs.Traffic) specs.Count { return t.External.Broadcast }),
	}
)

// Each calls fn with each value of a family shown for an endpoint. Parts of multicast or
// broadcast are shown from their first frame on.
func (f *Family) Each(format *Format, c *specs.Counters, fn func(p *Part, value uint64)) {
	parts, traffic := wholeParts, f.direction(c)
	if format.split {
		parts = splitParts
	}
	for i := range parts {
		p := &parts[i]
		if n := p.countOf(traffic); p.Cast == "" || p.Cast == "unicast" || n.Packets != 0 {
			fn(p, f.value(n))
		}
	}
}

// traffic writes the traffic series as text. With client_golang's metrics, 50,000 series
// take half a second and 50 MB; this writes lines whose labels are rendered already.
type traffic struct {
	*Format
	*Snapshot
	out         *bufio.Writer
	openMetrics bool
}

// writeSeries returns the first error of the writer below.
func (t *traffic) writeSeries() error {
	for i := range Families {
		t.writeFamily(&Families[i])
	}
	t.writeHead("berth_endpoint_info", "gauge", infoHelp)
	for _, series := range t.Series {
		e := t.Rows[series.From].Endpoint
		line := append(append(append(t.out.AvailableBuffer(), "berth_endpoint_info{"...), e.labels...), ',')
		t.out.Write(append(appendLabels(line, t.info, e), "} 1\n"...))
	}
	return t.out.Flush()
}

// writeHead writes the lines before the samples of a metric. OpenMetrics names a counter without
// the suffix of its samples.
func (t *traffic) writeHead(name, kind, help string) {
	if t.openMetrics && kind == "counter" {
		name = strings.TrimSuffix(name, "_total")
	}
	for _, s := range []string{"# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"} {
		t.out.WriteString(s)
	}
}

func (t *traffic) writeFamily(f *Family) {
	t.writeHead(f.Name, "counter", f.Help)
	var e *Endpoint
	var sum specs.Counters // one for all rows: it escapes
	sample := func(p *Part, value uint64) { t.writeSample(f.Name, e, p.labels, value) }
	for _, series := range t.Series {
		e, sum = t.Rows[series.From].Endpoint, t.Total(series)
		f.Each(t.Format, &sum, sample)
	}
}

func (t *traffic) writeSample(name string, e *Endpoint, more string, value uint64) {
	line := append(append(t.out.AvailableBuffer(), name...), '{')
	line = append(append(append(line, e.labels...), more...), "} "...)
	t.out.Write(append(strconv.AppendUint(line, value, 10), '\n'))
}
