package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rows are what is compared, and how many times faster berth is to be.
var rows = []struct {
	what       string
	ours, peer string
	measured   int
	goal       float64
}{
	{"attach", berthAlone, cniAlone, attach, 3},
	{"attach, 10,000 leases held", berthCrowded, cniCrowded, attach, 3},
	{"detach, namespace alive", berthAlone, cniAlone, detachAlive, 1.5},
	{"detach, namespace dead", berthAlone, cniAlone, detachDead, 3},
}

// report prints the medians, and their ratios beside the goals.
func report(w io.Writer, times samples, rounds int) {
	fmt.Fprintf(w, "%s\n%d rounds, interleaved; medians of one exec, no conflict probe\n\n", machine(), rounds)
	fmt.Fprintf(w, "%-28s%12s%12s%8s%7s\n", "", "berth-hook", "CNI", "ratio", "goal")
	for _, r := range rows {
		ours, theirs := median(times[r.ours][r.measured]), median(times[r.peer][r.measured])
		ratio := float64(theirs) / float64(ours)
		verdict := "met"
		if ratio < r.goal {
			verdict = "missed"
		}
		fmt.Fprintf(w, "%-28s%9.2f ms%9.2f ms%7.1f×%6.1f×  %s\n", r.what, ms(ours), ms(theirs), ratio, r.goal, verdict)
	}
	none, many := median(times[berthAlone][attach]), median(times[berthCrowded][attach])
	fmt.Fprintf(w, "\nberth-hook with 10,000 leases held takes %.2f× its time with none.\n", float64(many)/float64(none))
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// machine says what the figures hold for.
func machine() string {
	model := "processor unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := "kernel unknown"
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		kernel = "Linux " + unix.ByteSliceToString(name.Release[:])
	}
	return fmt.Sprintf("%s, %d processors, %s, %s", model, runtime.NumCPU(), kernel, runtime.Version())
}
