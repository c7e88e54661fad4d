package rules

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

const dir = "../../deploy/prometheus"

// promtool runs promtool in the directory of the rules.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(testnet.Program(t, "promtool"), args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPrometheusAcceptsTheConfiguration(t *testing.T) {
	promtool(t, "check", "config", "--lint-fatal", "prometheus.yml")
	promtool(t, "check", "rules", "--lint-fatal", "berth-rules.yml")
}

func TestRulesFire(t *testing.T) { promtool(t, "test", "rules", "berth-rules_test.yml") }

// TestEveryKindHasARule checks that each kind has a rule with a severity and a link to
// its explanation, and a test.
func TestEveryKindHasARule(t *testing.T) {
	rules, tests, prose := readFile(t, dir+"/berth-rules.yml"), readFile(t, dir+"/berth-rules_test.yml"), readFile(t, "../../specs/violations.md")
	for _, kind := range specs.Kinds() {
		for text, what := range map[string]string{
			`berth_violations_total{kind="` + string(kind) + `"}`: rules,
			"          kind: " + string(kind) + "\n":              rules,
			"meaning: specs/violations.md#" + string(kind) + "\n": rules,
			"  # " + string(kind) + ": ":                          tests,
			"## `" + string(kind) + "`\n":                         prose,
		} {
			if !strings.Contains(what, text) {
				t.Errorf("%s: no %q", kind, text)
			}
		}
	}
	if n := strings.Count(rules, "          kind: "); n != len(specs.Kinds()) {
		t.Errorf("%d rules have a kind, want %d", n, len(specs.Kinds()))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
