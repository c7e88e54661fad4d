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

// goals are how many times faster berth is to be.
var goals = [measured]struct {
	what string
	goal float64
}{
	attach:      {"attach", 3},
	detachAlive: {"detach, namespace alive", 1.5},
	detachDead:  {"detach, namespace dead", 3},
}

// report prints the medians, and their ratios beside the goals.
func report(w io.Writer, times samples, rounds int) {
	berth, cni := times["berth-hook"], times["CNI macvlan+host-local"]
	fmt.Fprintf(w, "%s\n%d rounds, interleaved; medians of one exec, no conflict probe\n\n", machine(), rounds)
	fmt.Fprintf(w, "%-26s%12s%12s%10s%8s\n", "", "berth-hook", "CNI", "ratio", "goal")
	for i, g := range goals {
		ours, theirs := median(berth[i]), median(cni[i])
		ratio := float64(theirs) / float64(ours)
		verdict := "met"
		if ratio < g.goal {
			verdict = "missed"
		}
		fmt.Fprintf(w, "%-26s%9.2f ms%9.2f ms%9.1f×%7.1f×  %s\n", g.what, ms(ours), ms(theirs), ratio, g.goal, verdict)
	}
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
