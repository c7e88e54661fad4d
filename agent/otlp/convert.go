package otlp

import (
	"iter"
	"strings"
	"time"

	"berth/agent/metrics"
	"berth/specs"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// convertSnapshot returns a snapshot as OpenTelemetry metrics. A counter's name has no "_total", as
// exporters to Prometheus add it again.
func convertSnapshot(f *metrics.Format, s *metrics.Snapshot, now time.Time) []metricdata.Metrics {
	sets := make([]attribute.Set, len(s.Series))
	info := metricdata.Gauge[int64]{}
	for i, series := range s.Series {
		e := s.Rows[series.From].Endpoint
		labels := attributesOf(f.Labels(e))
		sets[i] = attribute.NewSet(labels...)
		info.DataPoints = append(info.DataPoints, metricdata.DataPoint[int64]{
			Attributes: attribute.NewSet(append(labels, attributesOf(f.Info(e))...)...), Time: now, Value: 1})
	}
	all := make([]metricdata.Metrics, 0, len(metrics.Families)+4)
	for i := range metrics.Families {
		all = append(all, familyMetrics(&metrics.Families[i], f, s, sets, now))
	}
	return append(all,
		metricdata.Metrics{Name: "berth_endpoint_info", Data: info},
		metricdata.Metrics{Name: "berth_violations", Unit: "{frame}",
			Data: violationSum(s, now, func(n specs.Broken) uint64 { return n.Packets })},
		metricdata.Metrics{Name: "berth_violations_dropped", Unit: "{frame}",
			Data: violationSum(s, now, func(n specs.Broken) uint64 { return n.Dropped })},
		metricdata.Metrics{Name: "berth_agent_endpoints_left_out", Data: metricdata.Gauge[int64]{
			DataPoints: []metricdata.DataPoint[int64]{{Time: now, Value: int64(s.LeftOut)}}}},
	)
}

func attributesOf(labels iter.Seq2[string, string]) (all []attribute.KeyValue) {
	for name, value := range labels {
		all = append(all, attribute.String(name, value))
	}
	return all
}

// monotonicSum returns a sum that never falls.
func monotonicSum(points []metricdata.DataPoint[int64]) metricdata.Sum[int64] {
	return metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: points}
}

func familyMetrics(of *metrics.Family, f *metrics.Format, s *metrics.Snapshot, sets []attribute.Set,
	now time.Time) metricdata.Metrics {
	points := make([]metricdata.DataPoint[int64], 0, len(s.Series))
	for i, series := range s.Series {
		sum, start := s.Total(series), time.Unix(0, s.Rows[series.To-1].Created)
		of.Each(f, &sum, func(p *metrics.Part, value uint64) {
			set := sets[i]
			if p.Scope != "" {
				set = attribute.NewSet(append(set.ToSlice(), attribute.String("scope", p.Scope),
					attribute.String("cast", p.Cast))...)
			}
			points = append(points, metricdata.DataPoint[int64]{Attributes: set, StartTime: start, Time: now,
				Value: int64(value)})
		})
	}
	return metricdata.Metrics{Name: strings.TrimSuffix(of.Name, "_total"), Description: of.Help, Unit: of.Unit,
		Data: monotonicSum(points)}
}

func violationSum(s *metrics.Snapshot, now time.Time, of func(specs.Broken) uint64) metricdata.Sum[int64] {
	var points []metricdata.DataPoint[int64]
	for v, n := range s.EveryViolation() {
		points = append(points, metricdata.DataPoint[int64]{Time: now, Value: int64(of(n)), Attributes: attribute.NewSet(
			attribute.String("kind", string(v.Kind)), attribute.String("parent", v.Parent),
			attribute.String("network", v.Network))})
	}
	return monotonicSum(points)
}
