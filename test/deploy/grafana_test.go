package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// dashboard has the checked parts of Grafana's JSON model.
type dashboard struct {
	UID, Title string
	Templating struct {
		List []struct{ Name, Definition string }
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ RefID, Expr, LegendFormat string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/berth.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries returns all queries of the dashboard, by their place in it.
func (d *dashboard) queries() map[string]string {
	all := map[string]string{}
	for _, v := range d.Templating.List {
		if v.Definition != "" {
			all["variable "+v.Name] = v.Definition
		}
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all["panel "+p.Title+" "+q.RefID] = q.Expr
		}
	}
	return all
}

// scrape returns the labels of each metric in the agent's golden scrape, with the labels
// that Prometheus adds.
func scrape(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../agent/metrics/testdata/full.prom")
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string][]string{
		// These come from Prometheus' client library, and a golden file cannot have them.
		"process_resident_memory_bytes":       {"instance", "job"},
		"berth_agent_scrape_duration_seconds": {"instance", "job"},
		"berth_build_info":                    {"instance", "job", "version", "go_version"},
	}
	label := regexp.MustCompile(`[{,](\w+)="`)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name := regexp.MustCompile(`^\w+`).FindString(line)
		labels := []string{"instance", "job"}
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			labels = append(labels, m[1])
		}
		metrics[name] = labels
	}
	return metrics
}

var (
	metricName = regexp.MustCompile(`\b(?:berth|process|go)_\w+`)
	matcher    = regexp.MustCompile(`(\w+)=~?"`)
	grouping   = regexp.MustCompile(`\b(?:by|on|group_left) \(([^)]*)\)`)
	legendName = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// TestDashboardQueriesServedMetrics checks that the agent serves every metric and
// label of the queries.
func TestDashboardQueriesServedMetrics(t *testing.T) {
	t.Parallel()
	served := scrape(t)
	specified, err := os.ReadFile("../../specs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	d := readDashboard(t)
	asked := map[string]bool{}
	for where, query := range d.queries() {
		var labels []string
		for _, name := range metricName.FindAllString(query, -1) {
			asked[name] = true
			has, ok := served[name]
			if !ok || strings.HasPrefix(name, "berth_") && !strings.Contains(string(specified), "`"+name+"`") {
				t.Errorf("%s: no metric %s", where, name)
			}
			labels = append(labels, has...)
		}
		var named []string
		for _, m := range matcher.FindAllStringSubmatch(query, -1) {
			named = append(named, m[1])
		}
		for _, m := range grouping.FindAllStringSubmatch(query, -1) {
			named = append(named, strings.Split(m[1], ", ")...)
		}
		for _, label := range named {
			if !slices.Contains(labels, label) {
				t.Errorf("%s: no label %s in %s", where, label, query)
			}
		}
	}
	for name := range served {
		if !asked[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// TestTheDashboardIsInOrder checks that panels have distinct ids, do not overlap, and
// that legends use labels of their query.
func TestTheDashboardIsInOrder(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	cells, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have id %d", p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is wider than the page", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		for _, q := range p.Targets {
			for _, m := range legendName.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !strings.Contains(q.Expr, "by (") && !strings.Contains(q.Expr, "{") || strings.Contains(q.Expr, "by (") && !regexp.MustCompile(`\b`+m[1]+`\b`).MatchString(q.Expr) {
					t.Errorf("%s: the legend's %s is not in %s", p.Title, m[1], q.Expr)
				}
			}
		}
	}
}

// TestTheDashboardsQueriesParse parses the queries with Prometheus' own parser.
func TestTheDashboardsQueriesParse(t *testing.T) {
	t.Parallel()
	promtool := testnet.Program(t, "promtool")
	d := readDashboard(t)
	rules := "groups:\n- name: queries\n  rules:\n"
	for where, query := range d.queries() {
		if strings.HasPrefix(where, "variable") {
			continue // a variable of Grafana
		}
		text, err := json.Marshal(strings.ReplaceAll(query, "$__rate_interval", "5m"))
		if err != nil {
			t.Fatal(err)
		}
		rules += "  - record: query\n    expr: " + string(text) + "\n    labels: {where: " + `"` + where + `"` + "}\n"
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	writeFile(t, file, rules)
	if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
