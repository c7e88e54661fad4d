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

func received(c *specs.Counters) *specs.Traffic { return &c.Receive }
func sent(c *specs.Counters) *specs.Traffic     { return &c.Transmit }
func packets(c specs.Count) uint64              { return c.Packets }
func octets(c specs.Count) uint64               { return c.Bytes }

// Families are the traffic metrics.
var Families = []Family{
	{"berth_network_receive_packets_total", "Packets that the container received, in wire segments.", "{packet}", received, packets},
	{"berth_network_receive_bytes_total", "Bytes that the container received, Ethernet header to end of payload.", "By", received, octets},
	{"berth_network_transmit_packets_total", "Packets that the container sent, in wire segments.", "{packet}", sent, packets},
	{"berth_network_transmit_bytes_total", "Bytes that the container sent, Ethernet header to end of payload.", "By", sent, octets},
}

const infoHelp = "An interface that berth attached, by the names of its container."

// Part is one part of a split metric.
type Part struct {
	Scope, Cast string // "" if not split by it
	labels      string // rendered
	of          func(*specs.Traffic) specs.Count
}

func part(scope, cast string, of func(*specs.Traffic) specs.Count) Part {
	return Part{scope, cast, `,scope="` + scope + `",cast="` + cast + `"`, of}
}

var (
	whole = []Part{{of: func(t *specs.Traffic) specs.Count { return t.Total() }}}
	split = []Part{
		part("local", "unicast", func(t *specs.Traffic) specs.Count { return t.Local.Unicast }),
		part("local", "multicast", func(t *specs.Traffic) specs.Count { return t.Local.Multicast }),
		part("local", "broadcast", func(t *specs.Traffic) specs.Count { return t.Local.Broadcast }),
		part("external", "unicast", func(t *specs.Traffic) specs.Count { return t.External.Unicast }),
		part("external", "multicast", func(t *specs.Traffic) specs.Count { return t.External.Multicast }),
		part("external", "broadcast", func(t *specs.Traffic) specs.Count { return t.External.Broadcast }),
	}
)

// Each calls fn with each value of a family shown for an endpoint. Parts of multicast or
// broadcast are shown from their first frame on.
func (f *Family) Each(format *Format, c *specs.Counters, fn func(p *Part, value uint64)) {
	parts, traffic := whole, f.direction(c)
	if format.split {
		parts = split
	}
	for i := range parts {
		p := &parts[i]
		if n := p.of(traffic); p.Cast == "" || p.Cast == "unicast" || n.Packets != 0 {
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

// write returns the first error of the writer below.
func (t *traffic) write() error {
	for i := range Families {
		t.family(&Families[i])
	}
	t.head("berth_endpoint_info", "gauge", infoHelp)
	for _, series := range t.Series {
		e := t.Rows[series.From].Endpoint
		line := append(append(append(t.out.AvailableBuffer(), "berth_endpoint_info{"...), e.labels...), ',')
		t.out.Write(append(appendLabels(line, t.info, e), "} 1\n"...))
	}
	return t.out.Flush()
}

// head writes the lines before the samples of a metric. OpenMetrics names a counter without
// the suffix of its samples.
func (t *traffic) head(name, kind, help string) {
	if t.openMetrics && kind == "counter" {
		name = strings.TrimSuffix(name, "_total")
	}
	for _, s := range []string{"# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"} {
		t.out.WriteString(s)
	}
}

func (t *traffic) family(f *Family) {
	t.head(f.Name, "counter", f.Help)
	var e *Endpoint
	var sum specs.Counters // one for all rows: it escapes
	sample := func(p *Part, value uint64) { t.sample(f.Name, e, p.labels, value) }
	for _, series := range t.Series {
		e, sum = t.Rows[series.From].Endpoint, t.Total(series)
		f.Each(t.Format, &sum, sample)
	}
}

func (t *traffic) sample(name string, e *Endpoint, more string, value uint64) {
	line := append(append(t.out.AvailableBuffer(), name...), '{')
	line = append(append(append(line, e.labels...), more...), "} "...)
	t.out.Write(append(strconv.AppendUint(line, value, 10), '\n'))
}
