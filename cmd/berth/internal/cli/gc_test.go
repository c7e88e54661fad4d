package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/specs"
)

// TestGC: a namespace without an ID is dead: its records are released, with no agent and no
// maps.
func TestGC(t *testing.T) {
	w := newWorld(t)
	const nothing = "attachments released: 0\ncounters drained: 0\nrecords of ended attachments removed: 0\n"
	mustEqual(t, "gc of nothing", nothing, w.mustRun("gc"))
	w.putRecord(5, func(a *state.Attachment) { a.NSID, a.Containers = 1<<30, []string{"dead"} })
	mustEqual(t, "gc", `
[
  {
    "released": [
      "0000000000000005/net1"
    ],
    "drained": 0,
    "pruned": 0,
    "partial": false
  }
]
`, w.mustRun("gc", "--json"))
	mustEqual(t, "ps", "", w.mustRun("ps", "-q"))
	mustEqual(t, "gc again", nothing, w.mustRun("gc"))
}

func TestGCOfAnUnusableState(t *testing.T) {
	w := newWorld(t)
	w.writeFile("run", "a file")
	w.mustFail(exitFailed, "run\": not a directory", "gc")
	if n := strings.Count(w.err.String(), "open directory"); n != 1 {
		t.Errorf("it is said %d times: %s", n, &w.err)
	}
}

// TestGCOfUnusablePins requires that several steps that fail for the same reason are one error.
func TestGCOfUnusablePins(t *testing.T) {
	w := newWorld(t)
	w.bpffs = "/dev/null"
	if code := w.runMain("gc"); code != exitFailed || strings.Count(w.err.String(), `"/dev/null" is no directory`) != 1 {
		t.Errorf("exit %d, want the error once: %s", code, &w.err)
	}
}

func TestDistinctTexts(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	for _, c := range []struct {
		err  error
		want string
	}{
		{a, "a"}, {errors.Join(a, a), "a"}, {errors.Join(errors.Join(a, b), a, errors.Join(b, errors.New("b"))), "a b"},
		{fmt.Errorf("both: %w and %w", a, a), "both: a and a"}, {errors.Join(fmt.Errorf("x:\n%w", a), a), "x:\na a"},
	} {
		if got := strings.Join(distinctTexts(c.err), " "); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// TestGCWithBrokenConfig: an administrator's mistake is reported, not worked around.
func TestGCWithBrokenConfig(t *testing.T) {
	w := newWorld(t)
	w.putRecord(5, func(a *state.Attachment) { a.NSID, a.Phase = 1<<30, specs.PhaseAttaching })
	w.writeFile("etc/berth.toml", "[agent]\nkeep_ended = \"soon\"\n")
	w.mustFail(exitFailed, w.dir+"/etc/berth.toml: ", "gc")
	mustEqual(t, "ps", "web\n", w.mustRun("ps", "-q"))
}
