// Package metrics serves a snapshot of the agent as Prometheus and OpenMetrics
// text.
//
// It names the series and holds their labels to what is bounded: no label is
// chosen by a container's traffic. It does not read maps or records; whoever
// makes a [Handler] gives it the snapshot. Of berth it imports only
// berth/specs.
//
// The series of endpoints are written by hand, all others by client_golang.
// The names are normative in specs/metrics.md.
package metrics
