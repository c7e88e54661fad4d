package otlp

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"berth/agent/metrics"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// metricsPath is the path at which a collector receives metrics (the OTLP specification,
// OTLP/HTTP request).
const metricsPath = "/v1/metrics"

// Options configure the content, destination and interval of pushes.
type Options struct {
	URL      string // of the collector; metricsPath is added if it has no path
	Interval time.Duration
	Version  string // berth's own
	Format   *metrics.Format
	Fill     func(*metrics.Snapshot) error // fills a snapshot for every push
}

// Start pushes until the returned function is called, which pushes a last time. Errors of
// pushing go to OpenTelemetry's error handler.
func Start(ctx context.Context, o Options) (stop func(context.Context) error, err error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("push metrics: %w", err)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = metricsPath
	}
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("push metrics to %q: %w", o.URL, err)
	}
	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(o.Interval),
		sdkmetric.WithProducer(producer{o}))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(senderResource(o.Version)))
	return provider.Shutdown, nil
}

// senderResource returns the resource that describes the sender.
func senderResource(version string) *resource.Resource {
	host, _ := os.Hostname() // left empty if not known
	return resource.NewSchemaless(
		attribute.String("service.name", "berth"),
		attribute.String("service.version", version),
		attribute.String("host.name", host))
}

// producer creates the metrics of each push.
type producer struct{ Options }

// Produce implements sdkmetric.Producer.
func (p producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	s := new(metrics.Snapshot)
	if err := p.Fill(s); err != nil {
		return nil, err
	}
	scope := metricdata.ScopeMetrics{Metrics: convertSnapshot(p.Format, s, time.Now())}
	scope.Scope.Name, scope.Scope.Version = "berth", p.Version
	return []metricdata.ScopeMetrics{scope}, nil
}
