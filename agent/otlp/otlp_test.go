package otlp

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"berth/agent/metrics"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// collectorServer is a collector that passes on the requests that it receives.
func collectorServer(t *testing.T) (*httptest.Server, <-chan *collector.ExportMetricsServiceRequest) {
	t.Helper()
	pushed := make(chan *collector.ExportMetricsServiceRequest, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := new(collector.ExportMetricsServiceRequest)
		if err == nil {
			err = proto.Unmarshal(body, request)
		}
		if err != nil || r.URL.Path != "/v1/metrics" {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		pushed <- request
	}))
	t.Cleanup(s.Close)
	return s, pushed
}

func newFormat(change func(*specs.Agent)) *metrics.Format {
	a := specs.DefaultConfig().Agent
	if change != nil {
		change(&a)
	}
	return metrics.NewFormat(a)
}

// fillSnapshot fills a snapshot with two runs of one container.
func fillSnapshot(s *metrics.Snapshot) error {
	e := &metrics.Endpoint{ContainerID: "web", Interface: "net1", Network: "lan", Parent: "eth1", Name: "front", Driver: specs.Macvlan,
		Mode: specs.ModeBridge, Created: 1000}
	again := *e
	again.Created = 2000
	count := func(n uint64) (c specs.Counters) {
		c.Transmit.External.Unicast = specs.Count{Packets: n, Bytes: 100 * n}
		return c
	}
	s.Rows = []metrics.Row{{Endpoint: &again, Counters: count(3)}, {Endpoint: e, Counters: count(4)}}
	s.Series = []metrics.Range{{From: 0, To: 2}}
	s.Violations = map[metrics.Violation]specs.Broken{{Kind: specs.MACSpoof, Parent: "eth1", Network: "lan"}: {Packets: 9, Dropped: 5}}
	s.LeftOut = 2
	return nil
}

func attributeTexts(attributes []*common.KeyValue) map[string]string {
	all := make(map[string]string)
	for _, a := range attributes {
		all[a.Key] = a.Value.GetStringValue()
	}
	return all
}

// byName returns the metrics of a push.
func byName(t *testing.T, r *collector.ExportMetricsServiceRequest) map[string]*otlp.Metric {
	t.Helper()
	all := make(map[string]*otlp.Metric)
	for _, scope := range r.ResourceMetrics[0].ScopeMetrics {
		for _, m := range scope.Metrics {
			all[m.Name] = m
		}
	}
	return all
}

func TestPushSendsMetrics(t *testing.T) {
	s, pushed := collectorServer(t)
	stop, err := Start(t.Context(), Options{URL: s.URL, Interval: time.Hour, Version: "1.2.3", Format: newFormat(nil), Fill: fillSnapshot})
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(context.Background()); err != nil { // the last push, and here the only one
		t.Fatal(err)
	}
	got := <-pushed
	if who := attributeTexts(got.ResourceMetrics[0].Resource.Attributes); who["service.name"] != "berth" || who["service.version"] != "1.2.3" {
		t.Errorf("pushed by %v", who)
	}
	all := byName(t, got)
	sent := all["berth_network_transmit_bytes"]
	if sent == nil || sent.Unit != "By" || !sent.GetSum().IsMonotonic || sent.GetSum().AggregationTemporality != otlp.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
		t.Fatalf("transmitted bytes: %v", sent)
	}
	point := sent.GetSum().DataPoints[0]
	if point.GetAsInt() != 700 || point.StartTimeUnixNano != 1000 {
		t.Errorf("bytes %d since %d, want 700 since 1000", point.GetAsInt(), point.StartTimeUnixNano)
	}
	want := map[string]string{"container_id": "web", "interface": "net1", "network": "lan", "parent": "eth1"}
	if diff := cmp.Diff(want, attributeTexts(point.Attributes)); diff != "" {
		t.Error(diff)
	}
	for name, n := range map[string]int64{"berth_network_receive_packets": 0, "berth_network_transmit_packets": 7, "berth_violations": 9, "berth_violations_dropped": 5} {
		if points := all[name].GetSum().GetDataPoints(); len(points) != 1 || points[0].GetAsInt() != n {
			t.Errorf("%s: %v, want %d", name, points, n)
		}
	}
	info := attributeTexts(all["berth_endpoint_info"].GetGauge().DataPoints[0].Attributes)
	if info["name"] != "front" || info["container_id"] != "web" {
		t.Errorf("information %v", info)
	}
	if n := all["berth_agent_endpoints_left_out"].GetGauge().DataPoints[0].GetAsInt(); n != 2 {
		t.Errorf("left out %d, want 2", n)
	}
}

func TestPushOfSplits(t *testing.T) {
	s := new(metrics.Snapshot)
	_ = fillSnapshot(s)
	f := newFormat(func(a *specs.Agent) { a.MetricsSplit = true })
	var shown []string
	for _, m := range convertSnapshot(f, s, time.Now()) {
		if m.Name == "berth_network_transmit_packets" {
			for _, p := range dataPoints(t, m.Data) {
				scope, _ := p.Attributes.Value("scope")
				cast, _ := p.Attributes.Value("cast")
				shown = append(shown, scope.AsString()+" "+cast.AsString())
			}
		}
	}
	if diff := cmp.Diff([]string{"local unicast", "external unicast"}, shown); diff != "" {
		t.Error(diff)
	}
}

// TestPushRepeats requires periodic pushes.
func TestPushRepeats(t *testing.T) {
	s, pushed := collectorServer(t)
	stop, err := Start(t.Context(), Options{URL: s.URL + "/", Interval: 20 * time.Millisecond, Format: newFormat(nil), Fill: fillSnapshot})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		<-pushed
	}
	go func() {
		for range pushed { // pushes until it has stopped
		}
	}()
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func dataPoints(t *testing.T, data metricdata.Aggregation) []metricdata.DataPoint[int64] {
	t.Helper()
	sum, ok := data.(metricdata.Sum[int64])
	if !ok {
		t.Fatalf("%T, want a sum", data)
	}
	return sum.DataPoints
}
