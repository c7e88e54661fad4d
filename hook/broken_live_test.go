package hook

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// A brokenCase is a start that breaks off: its networks by name, and the container's
// selections.
type brokenCase struct {
	name     string
	needs    []testnet.Feature
	networks map[string]string
	selected string
	links    int // number of links that the container gets
}

var brokenCases = []brokenCase{
	{"two interfaces", nil, map[string]string{"lan": lan}, "lan,lan", 2},
	{
		"both families, routes and a MAC", nil, map[string]string{"lan": dual},
		`[{"name":"lan","ips":["192.0.2.7","2001:db8::7"],"mac":"02:00:5e:00:53:07"}]`, 1,
	},
	{
		"VLANs of both drivers", []testnet.Feature{testnet.VLAN, testnet.IPvlan}, map[string]string{
			"v100": strings.Replace(lan, "PARENT", "PARENT.100", 1),
			"v200": "driver = 'ipvlan'\n" + strings.Replace(dual, "PARENT", "PARENT.200", 1),
		}, "v100,v200", 2,
	},
}

const dual = `parent = 'PARENT'
mtu = 1400
[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'
[[subnet]]
subnet = '2001:db8::/64'
gateway = '2001:db8::1'
[[route]]
to = '198.51.100.0/24'
via = '192.0.2.9'
[[route]]
to = '2001:db8:1::/48'
via = '2001:db8::9'
`

// setUp returns a host with the networks, and the container.
func (c *brokenCase) setUp(t *testing.T) (*host, *box) {
	t.Helper()
	h := newHost(t)
	h.write("berth.toml", open)
	for name, text := range c.networks {
		h.network(name, text)
	}
	return h, h.box("a", c.selected)
}

// startSteps returns the names of the steps of a start.
func (c *brokenCase) startSteps(t *testing.T) []string {
	t.Helper()
	h, a := c.setUp(t)
	var names []string
	h.step = func(name string) error { names = append(names, name); return nil }
	h.mustStart(a)
	h.mustStop(a)
	if len(names) < 10 {
		t.Fatalf("steps %q", names)
	}
	return names
}

// eachStep runs a test for each step of each case's start. A short run, as in an
// emulated machine, takes each fourth step of a case that needs no feature: every
// whole run has all of them.
func eachStep(t *testing.T, test func(c *brokenCase, h *host, a *box, step string)) {
	t.Parallel()
	for _, c := range brokenCases {
		t.Run(c.name, func(t *testing.T) {
			testnet.Need(t, c.needs...)
			for i, step := range c.startSteps(t) {
				if testing.Short() && len(c.needs) == 0 && i%4 != 0 {
					continue
				}
				t.Run(step, func(t *testing.T) {
					t.Parallel()
					h, a := c.setUp(t)
					test(&c, h, a, step)
				})
			}
		})
	}
}

func TestAStepThatFailsLeavesNothing(t *testing.T) {
	eachStep(t, func(c *brokenCase, h *host, a *box, step string) {
		before := h.snapshot(a)
		broken := errors.New("broken")
		h.step = func(done string) error {
			if done == step {
				return broken
			}
			return nil
		}
		if err := h.start(a); !errors.Is(err, broken) || err.Error() != "broken" {
			h.Fatalf("error %v, want only %v", err, broken)
		}
		h.unchanged(a, before)
		h.step = nil
		h.mustStart(a)
		h.mustStop(a)
		h.unchanged(a, before)
	})
}

// killAfterStep starts a container by another process, which kills itself by SIGKILL after a step.
func (h *host) killAfterStep(b *box, step string) {
	h.Helper()
	cmd := h.program(step, "hook")
	cmd.Stdin = bytes.NewReader(b.state("creating"))
	testnet.RequireKilled(h, cmd)
}

func TestAKilledHookLeavesNothing(t *testing.T) {
	eachStep(t, func(c *brokenCase, h *host, a *box, step string) {
		before := h.snapshot(a)
		h.killAfterStep(a, step)
		h.mustStart(a) // a second attempt works at once
		if n := len(h.attachments("a")); n != c.links {
			h.Errorf("%d attachments, want %d:\n%s", n, c.links, h.records())
		}
		h.mustStop(a)
		h.unchanged(a, before)
		h.killAfterStep(a, step)
		if _, err := h.releaserHere().Collect(h.Context(), 0); err != nil {
			h.Fatal(err)
		}
		if step != "commit" { // after commit the container runs
			h.unchanged(a, before)
		}
	})
}
