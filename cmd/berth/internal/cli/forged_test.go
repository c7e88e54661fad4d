package cli

import (
	"strings"
	"testing"

	"berth/internal/rates"
	"berth/specs"
)

// TestNoNameForgesARow gives a container, a network and a parent names that contain table
// rows.
func TestNoNameForgesARow(t *testing.T) {
	const forged = "forged"
	lie := func(s string) string {
		return s + "\n" + forged + "  lan@net1\t192.0.2.9/24\r\n" + forged + "\u2028" + forged
	}
	named := sampleEndpoints()[:1]
	named[0].Name, named[0].Network, named[0].Parent = lie("web"), lie("lan"), lie("eth1")
	unnamed := sampleEndpoints()[:1]
	unnamed[0].Name, unnamed[0].ContainerID, unnamed[0].Interface = "", lie("id"), lie("net1")
	event := eventAgo(0, &specs.Party{Name: lie("web")})
	event.Parent = lie("eth1")
	for name, print := range map[string]func(w *world, all []specs.Endpoint) error{
		"ps": func(w *world, all []specs.Endpoint) error { return printEndpoints(&w.env, listOptions{}, all) },
		"ps --wide": func(w *world, all []specs.Endpoint) error {
			return printEndpoints(&w.env, listOptions{wide: true}, all)
		},
		"ps -q": func(w *world, all []specs.Endpoint) error {
			return printEndpoints(&w.env, listOptions{quiet: true}, all)
		},
		"inspect": func(w *world, all []specs.Endpoint) error {
			describeEndpoint(w.env.Out, &all[0], clock)
			return nil
		},
		"stats": func(w *world, all []specs.Endpoint) error {
			return statsTable(&w.env, []rates.Reading{{Endpoint: all[0]}}, statsOptions{}).writeTable(w.env.Out, noLimit)
		},
		"stats --split": func(w *world, all []specs.Endpoint) error {
			return statsTable(&w.env, []rates.Reading{{Endpoint: all[0]}}, statsOptions{split: true}).writeTable(w.env.Out, noLimit)
		},
		"agent status": func(w *world, all []specs.Endpoint) error {
			return parentTable([]specs.ParentStatus{{Name: all[0].Parent, Networks: []string{all[0].Network}}}).writeTable(w.env.Out, noLimit)
		},
		"events": func(w *world, _ []specs.Endpoint) error { return writeEvent(w.env.Out, &event, clock.Location()) },
	} {
		for _, all := range [][]specs.Endpoint{named, unnamed} {
			w := newWorld(t)
			if err := print(w, all); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(w.out.String()) {
				if strings.HasPrefix(line, forged) || strings.ContainsAny(line, "\t\r\u2028") {
					t.Errorf("%s: a name made a line of its own:\n%s", name, &w.out)
				}
			}
		}
	}
}
