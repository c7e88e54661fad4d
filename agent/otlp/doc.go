// Package otlp pushes the agent's snapshots to a collector as OTLP over HTTP, with
// OpenTelemetry's SDK.
//
// [Start] begins the pushes, and returns the function that ends them.
//
// Names, labels and bounds are those of package metrics, so that a collector that forwards
// to Prometheus gives the same series as a scrape. Of berth it imports agent/metrics and
// specs.
package otlp
