package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// processGoals are the goals of the agent's resident memory, in bytes, by endpoints.
var processGoals = map[int]float64{0: 12e6, fewEndpoints: 16e6, manyEndpoints: 28e6}

// releaseWait is the time in which the agent gives back the memory that it has used: longer than
// the pause between two releases.
const releaseWait = 3 * time.Second

// judgeProcess adds the row of an agent with n endpoints.
func (s *section) judgeProcess(n int, process float64, cells ...string) {
	all := append(append([]string{fmt.Sprint(n)}, cells...), megabytes(process))
	if most := processGoals[n]; most != 0 {
		s.judge(fmt.Sprintf("≤ %.0f MB", most/1e6), process <= most, all...)
	} else {
		s.addRow(all...)
	}
}

// settled returns the least resident memory of a process within releaseWait, in bytes, and the
// part of it without a file.
func settled(pid int) (all, own float64, err error) {
	for end := time.Now().Add(releaseWait); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now, err := resident(pid, "VmRSS:")
		if err != nil {
			return 0, 0, err
		}
		if all != 0 && now >= all {
			continue
		}
		all = now
		if own, err = resident(pid, "RssAnon:"); err != nil {
			return 0, 0, err
		}
	}
	return all, own, nil
}

// resident returns memory of a process in bytes: all resident memory (field VmRSS), or
// the part without a file behind it (RssAnon); see proc_pid_status(5).
func resident(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	i := slices.Index(fields, field)
	if i < 0 || i+1 >= len(fields) {
		return 0, fmt.Errorf("process %d has no %s", pid, field)
	}
	kib, err := strconv.ParseFloat(fields[i+1], 64)
	return kib * 1024, err
}

// clockTick is the unit of the processor times in /proc/PID/stat (USER_HZ).
const clockTick = 10 * time.Millisecond

// processorTime returns the time that all threads of a process have used: fields 14 and 15 of
// proc_pid_stat(5).
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // from field 3 on
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d has no processor times", pid)
	}
	user, errUser := strconv.Atoi(fields[11])
	system, errSystem := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick, errors.Join(errUser, errSystem)
}
