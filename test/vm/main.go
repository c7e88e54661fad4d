package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"berth/test/machine"
	"berth/test/machine/plan"
	"berth/test/results"
	"berth/test/suite"
	debian "berth/test/tree"
)

// options are the options and arguments of the command line.
type options struct {
	series   []string
	whole    []string // those of series that run the live tests of patterns; the others run those of skips alone
	run      string
	timeout  time.Duration
	cache    string
	results  string
	skips    string
	also     []string // tests, PACKAGE.TEST, that run with those of skips
	others   []string // packages whose tests of skips and also the kernels that are not whole run; none: all
	again    int
	verbose  bool
	long     bool
	nodes    bool     // the test of two nodes, in place of tests
	bench    []string // arguments of test/bench, which then runs in place of tests
	patterns []string
	mark     string
}

func main() {
	debian.Enter()
	suite.Main("vm", func(ctx context.Context) (bool, error) {
		o, err := parseOptions(os.Args[1:])
		if err != nil {
			return false, err
		}
		return testAll(ctx, o)
	})
}

func parseOptions(args []string) (*options, error) {
	o := &options{mark: "::" + rand.Text() + " "}
	fs := flag.NewFlagSet("vm", flag.ExitOnError)
	series := fs.String("kernel", "6.1,6.12", "kernels, a comma `list` of SERIES, SERIES@SUITE and @SUITE, "+
		"each with +WORD for a word of its command line")
	whole := o.addChoice(fs)
	fs.StringVar(&o.run, "run", "", "only tests that match this `regexp` (default: the live tests)")
	fs.DurationVar(&o.timeout, "timeout", 15*time.Minute, "for one machine, from boot to verdict")
	fs.StringVar(&o.cache, "cache", filepath.Join(debian.Cache(), "kernels"), "`directory` of the kernels")
	fs.StringVar(&o.results, "results", "", "`directory` for the outcome of each test, a file a kernel")
	fs.IntVar(&o.again, "again", 0, "run the failed tests of a package a second time if they are at most this `number`")
	fs.BoolVar(&o.long, "long", false, "the whole soak too: without -short")
	fs.BoolVar(&o.verbose, "v", false, "print all that the tests print")
	fs.BoolVar(&o.nodes, "nodes", false, "in place of tests two nodes on one LAN, one with each of two kernels")
	fs.Func("bench", "in place of tests test/bench, with these `arguments`", func(text string) error {
		o.bench, o.verbose = strings.Fields(text), true
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.series, o.patterns = strings.Split(*series, ","), fs.Args()
	if err := o.chooseWhole(*whole); err != nil {
		return nil, err
	}
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("test/vm runs on amd64 only, not on %s", runtime.GOARCH)
	}
	return o, nil
}

// addChoice adds the flags that choose tests by the results of another kernel. It returns the
// value of -whole.
func (o *options) addChoice(fs *flag.FlagSet) (whole *string) {
	whole = fs.String("whole", "", "with -skips, a comma `list` of the kernels that run all live tests of the packages; "+
		"the others run only the tests of -skips and -also (default: all kernels)")
	fs.StringVar(&o.skips, "skips", "", "`file` of results: the tests that were skipped there for a kernel's feature, "+
		"beside those of packages")
	fs.Func("also", "with -skips, a comma `list` of PACKAGE.TEST that run too", func(list string) error {
		o.also = strings.Split(list, ",")
		if i := slices.IndexFunc(o.also, func(name string) bool { return !strings.Contains(name, ".") }); i >= 0 {
			return fmt.Errorf("%q is no PACKAGE.TEST", o.also[i])
		}
		return nil
	})
	fs.Func("others", "with -whole, a comma `list` of packages: the other kernels run only the tests of -skips and -also "+
		"that are in these (default: all)", func(list string) error {
		o.others = strings.Split(list, ",")
		return nil
	})
	return whole
}

// chooseWhole sets the kernels that run all live tests of the packages, by the value of -whole.
func (o *options) chooseWhole(list string) error {
	if list == "" {
		o.whole = o.series
		return nil
	}
	if o.skips == "" {
		return fmt.Errorf("-whole %s without -skips: the other kernels would run no test", list)
	}
	o.whole = strings.Split(list, ",")
	if i := slices.IndexFunc(o.whole, func(name string) bool { return !slices.Contains(o.series, name) }); i >= 0 {
		return fmt.Errorf("-whole %s: %q is none of the kernels %q", list, o.whole[i], o.series)
	}
	return nil
}

// testAll reports whether all tests pass under all kernels. The machines run at once, but
// one after another for the bench, which measures.
func testAll(ctx context.Context, o *options) (bool, error) {
	dir, err := os.MkdirTemp("", "berth-vm-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	img, err := fill(ctx, dir, o)
	if err != nil {
		return false, err
	}
	if o.nodes {
		return testNodes(ctx, dir, o, img)
	}
	machines := len(o.series)
	if o.bench != nil {
		machines = 1
	}
	return suite.AtOnce(ctx, machines, o.series, func(ctx context.Context, series string) (bool, error) {
		return testOne(ctx, dir, o, img, series)
	})
}

// fill adds the programs of the run to an image.
func fill(ctx context.Context, dir string, o *options) (*image, error) {
	img, err := newImage(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	switch {
	case o.bench != nil:
		return img, img.addBench(ctx, dir, o.bench)
	case o.nodes:
		return img, img.addNodes(ctx, dir)
	}
	packages, err := choosePackages(ctx, o)
	if err != nil {
		return nil, err
	}
	return img, img.addTests(ctx, dir, o, packages)
}

// testOne reports whether all tests pass under one kernel.
func testOne(ctx context.Context, dir string, o *options, img *image, series string) (bool, error) {
	k, err := kernels{o.cache}.newestOf(ctx, series)
	if err != nil {
		return false, err
	}
	r := &report{out: os.Stdout, prefix: series + "| ", mark: o.mark, verbose: o.verbose, chosen: o.run != "",
		bench: o.bench != nil}
	tests := img.tests(slices.Contains(o.whole, series))
	for _, t := range tests {
		r.missing = append(r.missing, t.Package)
	}
	start := time.Now()
	console, busy, err := bootUntilDone(ctx, dir, o, img, tests, k, r)
	if err != nil {
		return false, err
	}
	if o.results != "" {
		if err := results.Write(filepath.Join(o.results, "vm-"+series+".json"), r.results); err != nil {
			return false, err
		}
	}
	why := r.verdict()
	for _, reason := range why {
		r.print("FAIL: " + reason)
	}
	if len(why) > 0 && !r.done {
		r.printAll("console: ", console)
	}
	r.print(fmt.Sprintf("%v, in %.0f s, %.0f s of processor time", r.total, time.Since(start).Seconds(), busy.Seconds()))
	return len(why) == 0, nil
}

// boots is the number of machines that a kernel gets, at most.
const boots = 3

// bootUntilDone boots a machine that runs the packages without a verdict, and another one
// after a fault of the emulator. It returns the end of the last console, and the processor
// time of all machines.
func bootUntilDone(ctx context.Context, dir string, o *options, img *image, tests []plan.Test, k *kernel,
	r *report) (console []string, busy time.Duration, err error) {
	name := filepath.Join(dir, strings.TrimSuffix(r.prefix, "| "))
	for boot := 1; ; boot++ {
		tests = slices.DeleteFunc(tests, func(t plan.Test) bool { return !slices.Contains(r.missing, t.Package) })
		if err := img.write(ctx, k, tests, name+".cpio"); err != nil {
			return nil, busy, err
		}
		m := newMachine(k, name+".cpio", name+".console", o.timeout)
		some, err := m.Run(ctx, r.reader())
		busy += some
		if ctx.Err() != nil {
			return nil, busy, err
		}
		if err != nil {
			r.fault(err.Error())
		}
		r.flush()
		console = m.ConsoleEnd(20)
		if r.done || boot == boots || len(r.missing) == 0 || !isEmulatorsFault(console) {
			return console, busy, nil
		}
		r.print("a fault of the emulator ended the kernel; again, from " + r.missing[0])
	}
}

// isEmulatorsFault reports whether a kernel died of one of two faults of the emulator.
//
// While Linux patches its own code it puts int3 there (arch/x86/kernel/alternative.c); if a
// thread of the emulator still runs its translation of it afterwards, the kernel knows no reason
// for the trap.
//
// The cmpxchg16b of qemu 7.2 computes flags from an outdated CC_OP (target/i386/tcg/mem_helper.c),
// so that EFLAGS has bits of an address until an instruction sets all flags. If an interrupt saves
// them meanwhile, the return from it is a double fault. Linux uses it to allocate (mm/slub.c).
func isEmulatorsFault(console []string) bool {
	return slices.ContainsFunc(console, func(line string) bool { return strings.Contains(line, "Oops: int3:") }) ||
		slices.ContainsFunc(console, func(line string) bool { return strings.Contains(line, "Oops: double fault:") }) &&
			slices.ContainsFunc(console, afterCompare.MatchString)
}

// afterCompare matches the kernel's line of code at the fault, <in brackets>, if cmpxchg16b (%rsi) is
// among the 16 bytes before.
var afterCompare = regexp.MustCompile(`Code: .* 48 0f c7 0e( [0-9a-f]{2}){0,12} <`)

// newMachine returns a machine with two serial lines: standard output and the
// console. Words are added to the kernel's command line.
func newMachine(k *kernel, initrd, console string, limit time.Duration, words ...string) *machine.Machine {
	words = append([]string{"console=ttyS1 loglevel=5 random.trust_cpu=on", k.Words}, words...)
	return &machine.Machine{Console: console, Limit: limit, Args: []string{
		"-no-reboot", "-serial", "stdio", "-serial", "file:" + console,
		"-kernel", k.Image, "-initrd", initrd,
		"-append", machine.Boot(words...),
	}}
}
