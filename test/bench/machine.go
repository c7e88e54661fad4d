package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// circumstances describe the machine and time of the figures.
type circumstances struct {
	rounds         int
	begin          time.Time
	loadBegin, now string
	took           time.Duration
}

func newContext(rounds int) *circumstances {
	return &circumstances{rounds: rounds, begin: time.Now(), loadBegin: loadAverages()}
}

// end records the load and the time at the end.
func (c *circumstances) end() { c.now, c.took = loadAverages(), time.Since(c.begin) }

func (c *circumstances) lines() []string {
	at := "load average " + c.loadBegin + " before the run"
	if c.now != "" {
		at += ", " + c.now + " after it (the run itself is a load of 1 to 2)"
	}
	when := fmt.Sprintf("%s, %d rounds", c.begin.UTC().Format("2 January 2006"), c.rounds)
	if c.took > 0 {
		when += fmt.Sprintf(", %.0f minutes", c.took.Minutes())
	}
	return []string{machine(), when, at}
}

// load returns the load averages of 1, 5 and 15 minutes.
func loadAverages() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], ", ")
}

// machine describes the machine that ran the bench.
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
