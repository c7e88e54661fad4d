package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"berth/test/results"
	"berth/test/suite"
	"berth/test/tree"
)

// options are the options of the command line.
type options struct {
	suites  []string
	debs    string
	run     string
	results string
	again   bool
	long    bool
	timeout time.Duration
	mark    string
}

func main() {
	tree.Enter()
	o := parseOptions()
	suite.Main("system", func(ctx context.Context) (bool, error) { return testAll(ctx, o) })
}

func parseOptions() *options {
	o := &options{mark: "::" + rand.Text()}
	suites := flag.String("suite", "trixie,bookworm", "Debian's suites, a comma `list`")
	flag.StringVar(&o.run, "run", "", "only steps whose whole name matches this `regexp`")
	flag.StringVar(&o.debs, "packages", "", "`directory` that has old.deb and new.deb, instead of building them")
	flag.StringVar(&o.results, "results", "", "`directory` for the outcome of each step, a file a suite")
	flag.BoolVar(&o.again, "again", false, "boot a machine a second time if a step failed on it")
	flag.BoolVar(&o.long, "long", false, "the steps of leases, a suspension and healing too: 7 minutes more")
	flag.DurationVar(&o.timeout, "timeout", 30*time.Minute, "for one machine, from boot to verdict")
	flag.Parse()
	o.suites = strings.Split(*suites, ",")
	return o
}

// testAll reports whether the steps pass on all machines.
func testAll(ctx context.Context, o *options) (bool, error) {
	dir, err := os.MkdirTemp("", "berth-system-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	payload := filepath.Join(dir, "payload.ext4")
	if err := makePayload(ctx, dir, o.debs, payload); err != nil {
		return false, err
	}
	return suite.AtOnce(ctx, len(o.suites), o.suites, func(ctx context.Context, name string) (bool, error) {
		r, err := testOne(ctx, dir, o, name, payload)
		if err != nil {
			return false, err
		}
		all := r.ended
		if o.again && !r.passed() {
			r.print("again, on a new machine")
			if r, err = testOne(ctx, dir, o, name, payload); err != nil {
				return false, err
			}
			all = append(all, r.ended...)
		}
		if o.results != "" {
			err = results.Write(filepath.Join(o.results, "system-"+name+".json"), all)
		}
		return r.passed(), err
	})
}

// testOne runs the steps on one new machine.
func testOne(ctx context.Context, dir string, o *options, suite, payload string) (*report, error) {
	root := filepath.Join(dir, suite+".ext4")
	boot, err := makeRoot(ctx, suite, root)
	if err != nil {
		return nil, err
	}
	console := filepath.Join(dir, suite+".console")
	m := newMachine(boot, disks{root, payload}, console, o.timeout,
		"berth.mark="+o.mark, "berth.run="+o.run, fmt.Sprint("berth.long=", o.long))
	r := &report{out: os.Stdout, prefix: suite + "| ", mark: o.mark + " "}
	start := time.Now()
	busy, err := m.Run(ctx, r.reader())
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		r.fault(err.Error())
	}
	if !r.passed() {
		for _, line := range m.ConsoleEnd(20) {
			r.print("console: " + line)
		}
	}
	r.print(fmt.Sprintf("%d steps passed, %d failed, in %.0f s, %.0f s of processor time",
		r.good, r.bad, time.Since(start).Seconds(), busy.Seconds()))
	return r, os.Remove(root)
}
