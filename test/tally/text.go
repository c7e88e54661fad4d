package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"berth/test/results"
)

// progress prints the tests that have run longest.
func (t *tally) progress() {
	type long struct {
		name  string
		since time.Time
	}
	var all []long
	for path, p := range t.packages {
		for name, test := range p.running {
			if !test.paused && !strings.Contains(name, "/") {
				all = append(all, long{path + "." + name, test.since})
			}
		}
	}
	slices.SortFunc(all, func(a, b long) int { return a.since.Compare(b.since) })
	line := fmt.Sprintf("… %s: %d tests have ended in %d packages", minutes(time.Since(t.start)),
		t.tests, len(t.ended))
	for i, l := range all[:min(3, len(all))] {
		line += fmt.Sprintf("%s %s (%s)", [...]string{"; running:", ",", ","}[i], l.name, minutes(time.Since(l.since)))
	}
	fmt.Fprintln(t.out, line)
}

func minutes(d time.Duration) string { return d.Round(time.Second).String() }

// summary prints the counts, the slowest packages, and each skip with its reason.
func (t *tally) summary() {
	slow := slices.SortedFunc(slices.Values(t.ended), func(a, b *pkg) int { return cmp.Compare(b.seconds, a.seconds) })
	var names []string
	for _, p := range slow[:min(5, len(slow))] {
		names = append(names, fmt.Sprintf("%s %.0f s", p.path, p.seconds))
	}
	fmt.Fprintf(t.out, "longest: %s\n", strings.Join(names, ", "))
	var skips []results.Result
	for _, r := range t.results {
		if r.Outcome == results.Skip {
			skips = append(skips, r)
		}
	}
	if len(skips) > 0 {
		fmt.Fprintf(t.out, "skipped, with sub-tests %d:\n", len(skips))
		printSkips(t.out, skips)
	}
	failed, unsteady := results.Failures(t.results)
	for _, r := range failed {
		fmt.Fprintf(t.out, "failed: %s of %s\n", r.Test, r.Package)
	}
	for _, r := range unsteady {
		fmt.Fprintf(t.out, "unsteady, passed when run again: %s of %s\n", r.Test, r.Package)
	}
	c := results.Count(t.results)
	c.Failed = t.failed()
	fmt.Fprintf(t.out, "%d tests: %d passed, %d failed, %d skipped, in %s\n",
		c.Passed+c.Failed+c.Skipped, c.Passed, c.Failed, c.Skipped, minutes(time.Since(t.start)))
	switch {
	case c.Failed > 0:
	case len(skips) > 0:
		fmt.Fprintln(t.out, "all tests that ran passed; those skipped need another kernel (make vm-test) or engine (make "+
			"engines)")
	default:
		fmt.Fprintln(t.out, "all tests passed")
	}
}

// printFailures prints tests under a heading, with the end of their output.
func printFailures(out io.Writer, heading string, all []results.Result) {
	for _, r := range all {
		fmt.Fprintf(out, "%s: %s of %s in %q\n", heading, r.Test, r.Package, r.Where)
		for line := range strings.Lines(r.Output) {
			fmt.Fprintf(out, "    %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
}

// printSkips prints skips by their reasons.
func printSkips(out io.Writer, skips []results.Result) {
	byReason := map[string][]string{}
	for _, s := range skips {
		byReason[s.Reason] = append(byReason[s.Reason], s.Package+"."+s.Test)
	}
	reasons := make([]string, 0, len(byReason))
	for reason := range byReason {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		names := byReason[reason]
		slices.Sort(names)
		fmt.Fprintf(out, "  %s\n", cmp.Or(reason, "no reason given"))
		for _, name := range names {
			fmt.Fprintf(out, "    %s\n", name)
		}
	}
}
