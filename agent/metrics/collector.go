package metrics

import (
	"runtime"

	"berth/specs"

	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("berth_"+name, help, labels, nil)
}

var (
	violationsDesc = desc("violations_total", "Frames that broke an interface's mode, by specs/violations.md.", "kind", "parent", "network")
	droppedDesc    = desc("violations_dropped_total", "Of these frames, those that the network's enforce has dropped.", "kind", "parent", "network")
	entriesDesc    = desc("agent_map_entries", "Entries in use of a map of the datapath.", "map")
	capacityDesc   = desc("agent_map_capacity", "Entries that a map of the datapath can hold.", "map")
	lostDesc       = desc("agent_events_lost_total", "Events that found the ring buffer full. Their violations are counted.")
	leftOutEvents  = desc("agent_events_left_out_total", "Events that the rate limits held back. Their violations are counted.")
	overflowDesc   = desc("agent_unknown_overflow_total", "Times that an unknown MAC was not noted, as the map for them or its budget was used up.")
	programsDesc   = desc("agent_attached_programs", "Programs attached to parents, by the way they are attached.", "kind")
	missingDesc    = desc("agent_parents_missing", "Parents that a network names and that do not exist.")
	leftOutDesc    = desc("agent_endpoints_left_out", "Endpoints that have no series, because metrics_max_endpoints is reached.")
	buildDesc      = desc("build_info", "The version that runs.", "version", "go_version")
	durationDesc   = desc("agent_scrape_duration_seconds", "Time that this scrape took to read maps and records.")
)

// about collects the metrics that belong to no endpoint: violations, and the agent itself.
type about struct {
	*Snapshot
	version string
}

// Describe implements prometheus.Collector.
func (about) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{violationsDesc, droppedDesc, entriesDesc, capacityDesc, lostDesc, leftOutEvents, overflowDesc, programsDesc,
		missingDesc, leftOutDesc, buildDesc, durationDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (a about) Collect(out chan<- prometheus.Metric) {
	for v, n := range a.EveryViolation() {
		counter(out, violationsDesc, n.Packets, string(v.Kind), v.Parent, v.Network)
		counter(out, droppedDesc, n.Dropped, string(v.Kind), v.Parent, v.Network)
	}
	for _, m := range a.Maps {
		gauge(out, entriesDesc, float64(m.Entries), m.Name)
		gauge(out, capacityDesc, float64(m.Capacity), m.Name)
	}
	counter(out, lostDesc, a.EventsLost)
	counter(out, leftOutEvents, a.EventsLeftOut)
	counter(out, overflowDesc, a.UnknownOverflow)
	programs, missing := programsOf(a.Parents)
	for kind, n := range programs {
		gauge(out, programsDesc, float64(n), kind)
	}
	gauge(out, missingDesc, float64(missing))
	gauge(out, leftOutDesc, float64(a.LeftOut))
	gauge(out, buildDesc, 1, a.version, runtime.Version())
	gauge(out, durationDesc, a.Reading.Seconds())
}

// programsPerParent counts one at ingress and one at egress.
const programsPerParent = 2

// programsOf counts the programs on the parents by attach type, and the missing parents.
func programsOf(parents []specs.ParentStatus) (programs map[string]int, missing int) {
	programs = map[string]int{"tcx": 0, "clsact": 0}
	for _, p := range parents {
		if p.State == specs.ParentWaiting {
			missing++
		}
		if p.State == specs.ParentCounting {
			programs[p.Attach] += programsPerParent
		}
	}
	return programs, missing
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, value uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}
