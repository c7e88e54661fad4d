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

	"berth/test/suite"
	"berth/test/tree"
)

// options are the options of the command line.
type options struct {
	suites  []string
	debs    string
	run     string
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
	flag.DurationVar(&o.timeout, "timeout", 20*time.Minute, "for one machine, from boot to verdict")
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
		return testOne(ctx, dir, o, name, payload)
	})
}

// testOne reports whether the steps pass on one machine.
func testOne(ctx context.Context, dir string, o *options, suite, payload string) (bool, error) {
	root := filepath.Join(dir, suite+".ext4")
	boot, err := makeRoot(ctx, suite, root)
	if err != nil {
		return false, err
	}
	console := filepath.Join(dir, suite+".console")
	m := newMachine(boot, disks{root, payload}, console, o.timeout, "berth.mark="+o.mark, "berth.run="+o.run)
	r := &report{out: os.Stdout, prefix: suite + "| ", mark: o.mark + " "}
	start := time.Now()
	busy, err := m.Run(ctx, r.reader())
	if ctx.Err() != nil {
		return false, ctx.Err()
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
	return r.passed(), os.Remove(root)
}
