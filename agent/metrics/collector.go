package metrics

import (
	"runtime"

	"berth/specs"

	"github.com/prometheus/client_golang/prometheus"
)

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("berth_"+name, help, labels, nil)
}

var (
	violationsDesc = newDesc("violations_total", "Frames that broke an interface's mode, by specs/violations.md.", "kind",
		"parent", "network")
	droppedDesc = newDesc("violations_dropped_total", "Of these frames, those that the network's enforce has dropped.",
		"kind", "parent", "network")
	entriesDesc  = newDesc("agent_map_entries", "Entries in use of a map of the datapath.", "map")
	capacityDesc = newDesc("agent_map_capacity", "Entries that a map of the datapath can hold.", "map")
	lostDesc     = newDesc("agent_events_lost_total",
		"Events that found the ring buffer full. Their violations are counted.")
	leftOutEvents = newDesc("agent_events_left_out_total",
		"Events that the rate limits held back. Their violations are counted.")
	overflowDesc = newDesc("agent_unknown_overflow_total",
		"Times that an unknown MAC was not noted, as the map for them or its budget was used up.")
	programsDesc = newDesc("agent_attached_programs",
		"Programs attached to parents, by the way they are attached.", "kind")
	missingDesc = newDesc("agent_parents_missing", "Parents that a network names and that do not exist.")
	failedDesc  = newDesc("agent_parents_failed", "Parents at which frames may pass uncounted.")
	leftOutDesc = newDesc("agent_endpoints_left_out",
		"Endpoints that have no series, because metrics_max_endpoints is reached.")
	leaseDesc = newDesc("lease_expiry_timestamp_seconds",
		"When a DHCP lease ends, in seconds since 1970: 0 if it was lost, +Inf if it never ends.",
		"container_id", "interface", "network", "parent", "family")
	messagesDesc = newDesc("dhcp_messages_total", "DHCP messages of containers' leases, sent and received.", "type")
	buildDesc    = newDesc("build_info", "The version that runs.", "version", "go_version")
	durationDesc = newDesc("agent_scrape_duration_seconds", "Time that this scrape took to read maps and records.")
)

// agentCollector collects the metrics that belong to no endpoint: violations, and the agent itself.
type agentCollector struct {
	*Snapshot
	version string
}

// Describe implements prometheus.Collector.
func (agentCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{violationsDesc, droppedDesc, entriesDesc, capacityDesc, lostDesc, leftOutEvents,
		overflowDesc, programsDesc,
		missingDesc, failedDesc, leftOutDesc, leaseDesc, messagesDesc, buildDesc, durationDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (a agentCollector) Collect(out chan<- prometheus.Metric) {
	for v, n := range a.EveryViolation() {
		sendCounter(out, violationsDesc, n.Packets, string(v.Kind), v.Parent, v.Network)
		sendCounter(out, droppedDesc, n.Dropped, string(v.Kind), v.Parent, v.Network)
	}
	for _, m := range a.Maps {
		sendGauge(out, entriesDesc, float64(m.Entries), m.Name)
		sendGauge(out, capacityDesc, float64(m.Capacity), m.Name)
	}
	sendCounter(out, lostDesc, a.EventsLost)
	sendCounter(out, leftOutEvents, a.EventsLeftOut)
	sendCounter(out, overflowDesc, a.UnknownOverflow)
	for kind, n := range programsOf(a.Parents) {
		sendGauge(out, programsDesc, float64(n), kind)
	}
	sendGauge(out, missingDesc, float64(parentsIn(specs.ParentWaiting, a.Parents)))
	sendGauge(out, failedDesc, float64(parentsIn(specs.ParentFailed, a.Parents)))
	sendGauge(out, leftOutDesc, float64(a.LeftOut))
	for _, l := range a.Leases {
		sendGauge(out, leaseDesc, l.Expires, l.ContainerID, l.Interface, l.Network, l.Parent, l.Family)
	}
	for kind, n := range a.DHCPMessages {
		sendCounter(out, messagesDesc, n, kind)
	}
	sendGauge(out, buildDesc, 1, a.version, runtime.Version())
	sendGauge(out, durationDesc, a.Reading.Seconds())
}

// programsPerParent is 2: one program at ingress and one at egress.
const programsPerParent = 2

// programsOf counts the programs on the parents by attach type.
func programsOf(parents []specs.ParentStatus) map[string]int {
	programs := map[string]int{"tcx": 0, "clsact": 0}
	for _, p := range parents {
		if p.Attach != "" { // on it, though it may be failed: another program may run before them
			programs[p.Attach] += programsPerParent
		}
	}
	return programs
}

// parentsIn counts the parents in a state.
func parentsIn(state specs.ParentState, parents []specs.ParentStatus) (n int) {
	for _, p := range parents {
		if p.State == state {
			n++
		}
	}
	return n
}

func sendGauge(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func sendCounter(out chan<- prometheus.Metric, d *prometheus.Desc, value uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}
