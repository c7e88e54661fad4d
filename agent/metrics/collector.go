package metrics

import (
	"runtime"
	"sync"
	"time"

	"berth/specs"

	"github.com/prometheus/client_golang/prometheus"
)

// A Collector serves snapshots as metrics. Scrapes at the same time wait for
// each other.
type Collector struct {
	snapshot func() (Snapshot, error)
	version  string

	mu         sync.Mutex
	traffic    ledger[trafficSeries]
	violations ledger[violationSeries]
}

// New returns a collector that asks snapshot at every scrape. An error of it
// fails the scrape. version is berth's own.
func New(version string, snapshot func() (Snapshot, error)) *Collector {
	return &Collector{snapshot: snapshot, version: version}
}

// The labels of a traffic series, and of an endpoint's information.
var (
	trafficLabels = []string{"container_id", "interface", "network", "parent"}
	infoLabels    = append(trafficLabels[:4:4], "name", "image", "pod", "namespace", "mac", "driver", "mode")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("berth_"+name, help, labels, nil)
}

// trafficDescs stand in the order of the counts of a traffic entry.
var trafficDescs = []*prometheus.Desc{
	desc("network_receive_packets_total", "Packets that the container received, in wire segments.", trafficLabels...),
	desc("network_receive_bytes_total", "Bytes that the container received, Ethernet header to end of payload.", trafficLabels...),
	desc("network_transmit_packets_total", "Packets that the container sent, in wire segments.", trafficLabels...),
	desc("network_transmit_bytes_total", "Bytes that the container sent, Ethernet header to end of payload.", trafficLabels...),
}

var (
	infoDesc       = desc("endpoint_info", "An interface that berth attached, by the names of its container.", infoLabels...)
	violationsDesc = desc("violations_total", "Frames that broke an interface's mode, by specs/violations.md.", "kind", "parent", "network")
	entriesDesc    = desc("agent_map_entries", "Entries in use of a map of the datapath.", "map")
	capacityDesc   = desc("agent_map_capacity", "Entries that a map of the datapath can hold.", "map")
	lostDesc       = desc("agent_events_lost_total", "Events that found the ring buffer full. Their violations are counted.")
	programsDesc   = desc("agent_attached_programs", "Programs attached to parents, by the way they are attached.", "kind")
	missingDesc    = desc("agent_parents_missing", "Parents that a network names and that do not exist.")
	buildDesc      = desc("build_info", "The version that runs.", "version", "go_version")
	durationDesc   = desc("agent_scrape_duration_seconds", "Time that this scrape took to read maps and records.")
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range trafficDescs {
		out <- d
	}
	for _, d := range []*prometheus.Desc{infoDesc, violationsDesc, entriesDesc, capacityDesc,
		lostDesc, programsDesc, missingDesc, buildDesc, durationDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	start := time.Now()
	s, err := c.snapshot()
	if err != nil {
		out <- prometheus.NewInvalidMetric(durationDesc, err)
		return
	}
	c.collectTraffic(out, s.Endpoints)
	c.collectViolations(out, s)
	collectAgent(out, s)
	gauge(out, buildDesc, 1, c.version, runtime.Version())
	gauge(out, durationDesc, time.Since(start).Seconds())
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, value uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

// trafficSeries are the values of trafficLabels.
type trafficSeries struct{ container, ifname, network, parent string }

func (s trafficSeries) labels() []string {
	return []string{s.container, s.ifname, s.network, s.parent}
}

func (c *Collector) collectTraffic(out chan<- prometheus.Metric, endpoints []Endpoint) {
	now := make(map[string]entry[trafficSeries], len(endpoints))
	newest := make(map[trafficSeries]*specs.Endpoint, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		series := trafficSeries{e.ContainerID, e.Interface, e.Network, e.Parent}
		receive, transmit := e.Counters.Receive.Total(), e.Counters.Transmit.Total()
		now[e.Key] = entry[trafficSeries]{series, []uint64{receive.Packets, receive.Bytes, transmit.Packets, transmit.Bytes}}
		if old := newest[series]; old == nil || old.Created.Before(e.Created) {
			newest[series] = &e.Endpoint
		}
	}
	for series, counts := range c.traffic.sums(now, func(trafficSeries) bool { return false }) {
		for i, d := range trafficDescs {
			counter(out, d, counts[i], series.labels()...)
		}
	}
	for series, e := range newest {
		gauge(out, infoDesc, 1, append(series.labels(), e.Name, e.Image, e.Pod, e.Namespace,
			e.MAC.String(), string(e.Driver), string(e.Mode))...)
	}
}

// violationSeries are the values of the labels of berth_violations_total.
type violationSeries struct {
	kind            specs.Kind
	parent, network string
}

func (c *Collector) collectViolations(out chan<- prometheus.Metric, s Snapshot) {
	now := make(map[string]entry[violationSeries])
	zero := func(kind specs.Kind, parent, network string) {
		series := violationSeries{kind, parent, network}
		now["/"+string(kind)+"/"+parent+"/"+network] = entry[violationSeries]{series, []uint64{0}}
	}
	for _, kind := range specs.Kinds() {
		for _, p := range s.Parents {
			zero(kind, p.Name, "")
			for _, network := range p.Networks {
				zero(kind, p.Name, network)
			}
		}
	}
	for _, v := range s.Violations {
		series := violationSeries{v.Kind, v.Parent, v.Network}
		now[v.Source+"/"+string(v.Kind)] = entry[violationSeries]{series, []uint64{v.Count}}
	}
	sums := c.violations.sums(now, func(violationSeries) bool { return true })
	for series, counts := range sums {
		counter(out, violationsDesc, counts[0], string(series.kind), series.parent, series.network)
	}
}

func collectAgent(out chan<- prometheus.Metric, s Snapshot) {
	for _, m := range s.Maps {
		gauge(out, entriesDesc, float64(m.Entries), m.Name)
		gauge(out, capacityDesc, float64(m.Capacity), m.Name)
	}
	counter(out, lostDesc, s.EventsLost)
	programs, missing := map[string]int{"tcx": 0, "clsact": 0}, 0
	for _, p := range s.Parents {
		if p.State == specs.ParentWaiting {
			missing++
		}
		if p.State == specs.ParentCounting {
			programs[p.Attach] += programsPerParent
		}
	}
	for kind, n := range programs {
		gauge(out, programsDesc, float64(n), kind)
	}
	gauge(out, missingDesc, float64(missing))
}

// programsPerParent: one at ingress, one at egress.
const programsPerParent = 2
