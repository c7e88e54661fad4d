package metrics

import "github.com/prometheus/client_golang/prometheus"

var (
	contactDesc = newDesc("cluster_contact_timestamp_seconds",
		"When etcd answered last, in seconds since 1970: 0 if it has not since the start.")
	latencyDesc   = newDesc("cluster_round_duration_seconds", "Time that the last round with etcd took.")
	failuresDesc  = newDesc("cluster_request_failures_total", "Requests that etcd did not answer.")
	claimsDesc    = newDesc("cluster_claims_total", "Blocks, addresses and prefixes of MACs that this node took.")
	returnsDesc   = newDesc("cluster_returns_total", "Blocks, addresses and prefixes of MACs that this node gave back.")
	conflictsDesc = newDesc("cluster_conflicts_total",
		"Rounds that were repeated, because another node had changed the same keys.")
	blocksDesc = newDesc("cluster_blocks", "Blocks of a shared pool that this node leases addresses of.", "domain")
	freeDesc   = newDesc("cluster_free_addresses",
		"Addresses of a shared pool that this node can lease without etcd.", "domain")
)

// clusterCollector collects the metrics of a node of a cluster.
type clusterCollector struct{ *Snapshot }

// Describe implements prometheus.Collector.
func (clusterCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{contactDesc, latencyDesc, failuresDesc, claimsDesc, returnsDesc, conflictsDesc,
		blocksDesc, freeDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c clusterCollector) Collect(out chan<- prometheus.Metric) {
	n := c.Cluster
	if n == nil {
		return
	}
	sendGauge(out, contactDesc, n.Contact)
	sendGauge(out, latencyDesc, n.Latency.Seconds())
	sendCounter(out, failuresDesc, n.Failures)
	sendCounter(out, claimsDesc, n.Claims)
	sendCounter(out, returnsDesc, n.Returns)
	sendCounter(out, conflictsDesc, n.Conflicts)
	for _, p := range n.Pools {
		sendGauge(out, blocksDesc, float64(p.Blocks), p.Domain)
		sendGauge(out, freeDesc, float64(p.Free), p.Domain)
	}
}
