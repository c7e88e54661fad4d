package metrics

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func defaultAgent() specs.Agent { return specs.DefaultConfig().Agent }

func rowOf(f *Format, container, network string, packets uint64) Row {
	e := &Endpoint{ContainerID: container, Network: network, Interface: "net1", Parent: "eth1",
		Driver: specs.Macvlan, Mode: specs.ModeBridge, MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1}}
	f.Prepare(e)
	traffic := specs.Casts{Unicast: specs.Count{Packets: packets, Bytes: packets * 98}}
	return Row{e, specs.Counters{
		Receive:  specs.Traffic{Local: traffic, External: traffic},
		Transmit: specs.Traffic{External: traffic},
	}}
}

func sampleParents() []specs.ParentStatus {
	return []specs.ParentStatus{
		{Name: "eth1", State: specs.ParentCounting, Attach: "tcx", Networks: []string{"lan"}},
		{Name: "eth2", State: specs.ParentWaiting, Networks: []string{"lab"}},
	}
}

// fullSnapshot returns a snapshot with every kind of value; one container's name needs escaping.
func fullSnapshot(f *Format) Snapshot {
	s := Snapshot{Parents: sampleParents(), EventsLost: 3, EventsLeftOut: 9, LeftOut: 5,
		Maps:       []MapUse{{"counters", 2, 4096}},
		Rows:       []Row{rowOf(f, "db", "", 20), rowOf(f, "web", "lan", 7), rowOf(f, "web", "lan", 3)},
		Series:     []Range{{0, 1}, {1, 3}},
		Violations: map[Violation]specs.Broken{{specs.MACSpoof, "eth1", "lan"}: {Packets: 7, Dropped: 4}, {specs.MACSpoof, "gone", ""}: {Packets: 2}},
	}
	s.Leases = []Lease{{s.Rows[0].Endpoint, "ipv4", 0}, {s.Rows[1].Endpoint, "ipv4", 1.7e9}, {s.Rows[1].Endpoint, "ipv6", math.Inf(1)}}
	s.DHCPMessages = map[string]uint64{"discover": 3, "ack": 7}
	s.Cluster = &Cluster{Contact: 1.7e9, Latency: 250 * time.Millisecond, Failures: 2, Claims: 5, Returns: 1, Conflicts: 3, Pools: []Pool{{"lan-hq", 3, 7}}}
	web := s.Rows[1].Endpoint
	web.Name, web.Image, web.Pod, web.Namespace = `fr"on\t`, "docker.io/library/nginx:1", "front-0", "pr\nod"
	web.Labels = map[string]string{"app.kubernetes.io/name": "shop"}
	f.Prepare(web)
	s.Rows[2].Endpoint = web
	return s
}

// scrapeText returns a handler's answer, without the parts that differ between machines and runs.
func scrapeText(t *testing.T, a specs.Agent, s func(*Format) Snapshot, accept string) string {
	t.Helper()
	f := NewFormat(a)
	snapshot := s(f)
	h := NewHandler(f, "1.2.3", func(into *Snapshot) error { *into = snapshot; return nil })
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var kept []string
	for line := range strings.Lines(w.Body.String()) {
		if !regexp.MustCompile(`^(# [A-Z]+ )?(go_|process_|berth_build_info|berth_agent_scrape_duration_seconds)`).MatchString(line) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

const (
	asText        = "text/plain;version=0.0.4"
	asOpenMetrics = "application/openmetrics-text;version=1.0.0"
)

func TestGolden(t *testing.T) {
	chosen := defaultAgent()
	chosen.MetricsSplit = true
	chosen.MetricsLabels = []string{"interface", "container_id", "name"}
	chosen.MetricsInfo = []string{"name", "label:app.kubernetes.io/name"}
	nothing := func(*Format) Snapshot { return Snapshot{} }
	for file, c := range map[string]struct {
		a      specs.Agent
		s      func(*Format) Snapshot
		accept string
	}{
		"full.prom":        {defaultAgent(), fullSnapshot, asText},
		"full.openmetrics": {defaultAgent(), fullSnapshot, asOpenMetrics},
		"split.prom":       {chosen, fullSnapshot, asText},
		"empty.prom":       {defaultAgent(), nothing, asText},
	} {
		got := scrapeText(t, c.a, c.s, c.accept)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile("testdata/"+file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got), UPDATE_GOLDEN=1 rewrites it:\n%s", file, diff)
		}
	}
}

// TestTextIsTheLibrarys requires that the handler's own text equals the text of Prometheus'
// library.
func TestTextIsTheLibrarys(t *testing.T) {
	text := scrapeText(t, defaultAgent(), fullSnapshot, asText)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var again strings.Builder
	for _, family := range parsed {
		if _, err := expfmt.MetricFamilyToText(&again, family); err != nil {
			t.Fatal(err)
		}
	}
	lines := func(s string) []string {
		all := strings.Split(s, "\n")
		slices.Sort(all)
		return all
	}
	if diff := cmp.Diff(lines(again.String()), lines(text)); diff != "" {
		t.Errorf("(-library +ours):\n%s", diff)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

// FuzzLabelValues requires that the parser undoes the escaping of any name.
func FuzzLabelValues(f *testing.F) {
	f.Add(`a"b\c`)
	f.Add("line\nline")
	f.Fuzz(func(t *testing.T, name string) {
		name = strings.ToValidUTF8(name, "")
		text := scrapeText(t, defaultAgent(), func(f *Format) Snapshot {
			s := Snapshot{Rows: []Row{rowOf(f, "web", "lan", 1)}, Series: []Range{{0, 1}}}
			s.Rows[0].Name = name
			return s
		}, asText)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		parsed, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		for _, l := range parsed["berth_endpoint_info"].GetMetric()[0].GetLabel() {
			if l.GetName() == "name" && l.GetValue() != name {
				t.Errorf("name %q came out as %q", name, l.GetValue())
			}
		}
	})
}

func TestContentTypes(t *testing.T) {
	for accept, want := range map[string]string{
		"":            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
		asText:        "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
		asOpenMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
		"*/*;q=0.1":   "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": "text/plain; version=0.0.4; charset=utf-8",
	} {
		if got := string(negotiateFormat(http.Header{"Accept": {accept}})); got != want {
			t.Errorf("accept %q: %q, want %q", accept, got, want)
		}
	}
}

func TestErrorFailsTheScrape(t *testing.T) {
	h := NewHandler(NewFormat(defaultAgent()), "", func(*Snapshot) error { return errors.New("database: held") })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "database: held") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestScrapesAtOnceAreBounded(t *testing.T) {
	begun, end := make(chan bool), make(chan bool)
	h := NewHandler(NewFormat(defaultAgent()), "", func(*Snapshot) error {
		begun <- true
		<-end
		return nil
	})
	h.places.timeout = 10 * time.Millisecond
	get := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Code
	}
	codes := make(chan int)
	for range atOnce {
		go func() { codes <- get() }()
		<-begun
	}
	if code := get(); code != http.StatusServiceUnavailable {
		t.Errorf("one more than %d: status %d", atOnce, code)
	}
	close(end)
	for range atOnce {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
}
