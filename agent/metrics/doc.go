// Package metrics serves a snapshot of the agent as Prometheus and OpenMetrics text.
//
// It names the series and bounds their labels: no label is chosen by a container's traffic.
// It reads neither maps nor records; the caller that creates a [Handler] provides the
// snapshot. Of berth it imports only berth/specs.
//
// The package writes the series of endpoints itself, client_golang all others. The names
// are normative in specs/metrics.md.
package metrics
