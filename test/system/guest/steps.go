package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/machine/plan"
)

// A step is a part of the test. Steps depend on the steps before them.
type step struct {
	name string
	do   func(m *machine)
}

// long are the steps that a machine runs only if it is asked for them: 7 minutes of the two.
var long = []string{"leases", "suspend", "leases-after-boot", "heal"}

// full are the steps of a machine with podman, native those of one with docker, units those of one
// without either.
var (
	full = []step{
		{"boot", boot}, {"install", install}, {"sandbox", sandbox}, {"plugin", plugin}, {"web", web}, {"driver", driver},
		{"resident", resident}, {"containers", containers}, {"served", served},
		{"journal", journal}, {"killed", killed}, {"frozen", frozen}, {"upgrade", upgrade},
		{"leases", leases}, {"suspend", suspend},
		{"reload", reload}, {"metrics-socket", metricsSocket}, {"restart-machine", restartMachine},
		{"after-boot", afterBoot}, {"leases-after-boot", leasesAfterBoot}, {"heal", heal},
		{"remove", remove}, {"purge", purge},
	}
	native = []step{
		{"boot", boot}, {"install", install}, {"docker", docker}, {"ipvlan", ipvlan}, {"masked", masked},
		{"docker-removed", dockerRemoved}, {"remove", remove}, {"purge", purge},
	}
	units = []step{
		{"boot", boot}, {"install", install}, {"sandbox", sandbox}, {"plugin", plugin}, {"web", web}, {"driver", driver},
		{"resident", resident}, {"killed", killed}, {"leases", leases}, {"suspend", suspend},
		{"reload", reload}, {"metrics-socket", metricsSocket}, {"reboot", rebootAgain},
		{"leases-after-boot", leasesAfterBoot}, {"heal", heal}, {"remove", remove}, {"purge", purge},
	}
)

// line is the serial line that the host reads.
const line = "/dev/ttyS1"

// runSteps runs the remaining steps, and switches the machine off.
func runSteps() error {
	out, err := os.OpenFile(line, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	words, err := commandLine()
	if err != nil {
		return err
	}
	r := &runner{out: out, mark: words["berth.mark"] + " "}
	if err := r.runMatching(words["berth.run"], words["berth.long"] == "true"); err != nil {
		r.send(plan.Event{What: plan.Broken, Name: err.Error()})
	} else if r.rebooting {
		return exec.Command("systemctl", "--no-block", "reboot").Run()
	}
	r.send(plan.Event{What: plan.Done})
	return exec.Command("systemctl", "--no-block", "poweroff").Run()
}

// commandLine returns the words NAME=VALUE of the kernel's command line.
func commandLine() (map[string]string, error) {
	text, err := os.ReadFile("/proc/cmdline")
	words := map[string]string{}
	for word := range strings.FieldsSeq(string(text)) {
		name, value, _ := strings.Cut(word, "=")
		words[name] = value
	}
	return words, err
}

type runner struct {
	out       io.Writer
	mark      string
	rebooting bool
}

func (r *runner) send(e plan.Event) {
	text, err := e.Line(r.mark)
	if err == nil {
		_, err = r.out.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
	}
}

// runMatching runs the steps that match a pattern, from the first one that has not run. If the
// pattern is empty it runs all steps, but the long ones only if all is true.
func (r *runner) runMatching(pattern string, all bool) error {
	wanted, err := regexp.Compile("^(" + pattern + ")$")
	if err != nil {
		return err
	}
	p, err := loadProgress()
	if err != nil {
		return err
	}
	steps := units
	if _, err := exec.LookPath("podman"); err == nil {
		steps = full
	} else if _, err := exec.LookPath("dockerd"); err == nil {
		steps = native
	}
	if p.Begun {
		return fmt.Errorf("the machine rebooted during step %q", steps[p.Next].name)
	}
	if err := r.booted(); err != nil {
		return err
	}
	for p.Next < len(steps) && !r.rebooting {
		s := steps[p.Next]
		if pattern != "" && !wanted.MatchString(s.name) || pattern == "" && !all && slices.Contains(long, s.name) {
			p.Next++
			continue
		}
		if ok, err := r.step(s, p); err != nil || !ok {
			return err
		}
	}
	return nil
}

func (r *runner) booted() error {
	var name unix.Utsname
	var up unix.Timespec
	if err := unix.Uname(&name); err != nil {
		return err
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return err
	}
	r.send(plan.Event{What: plan.Booted, Name: unix.ByteSliceToString(name.Release[:]),
		Seconds: time.Duration(up.Nano()).Seconds()})
	return nil
}

// step runs a step. It returns false if the later steps cannot succeed.
func (r *runner) step(s step, p *progress) (goOn bool, err error) {
	p.Begun = true
	if err := p.save(); err != nil {
		return false, err
	}
	r.send(plan.Event{What: plan.Begin, Name: s.name})
	m := &machine{out: r.out, state: p}
	start := time.Now()
	aborted := r.recovered(m, s)
	status := 0
	if m.failed {
		status = 1
		m.logf("%s", diagnosis())
	}
	p.Begun = false
	p.Next++
	err = p.save()
	r.send(plan.Event{What: plan.End, Name: s.name, Status: status, Seconds: time.Since(start).Seconds()})
	return !aborted, err
}

// recovered runs a step. It returns true if the step was aborted.
func (r *runner) recovered(m *machine, s step) (aborted bool) {
	defer func() {
		switch end := recover().(type) {
		case nil:
		case abort:
			aborted = true
		case reboot:
			r.rebooting = true
		default:
			m.errorf("panic: %v", end)
			aborted = true
		}
	}()
	s.do(m)
	return false
}

// diagnosis returns logs and states that help to explain a failure.
func diagnosis() string {
	var all strings.Builder
	for _, args := range [][]string{
		{"systemctl", "--no-pager", "--failed", "--plain", "--no-legend"},
		{"systemctl", "--no-pager", "--lines=0", "status", "berthd.service"},
		{"journalctl", "--no-pager", "--output=short-monotonic", "-b", "-n", "25", "-u", "berthd.service"},
	} {
		out, _ := output(args[0], args[1:]...) // systemctl's status is the unit's
		all.WriteString(out)
	}
	return all.String()
}
