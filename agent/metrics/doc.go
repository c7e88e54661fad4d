// Package metrics turns a snapshot of the agent into Prometheus metrics.
//
// It names the series and holds their labels to what is bounded: no label is
// chosen by a container's traffic. It does not read maps or records; whoever
// registers a [Collector] gives it the snapshot. Of berth it imports only
// berth/specs.
//
// The names are normative in specs/metrics.md.
package metrics
