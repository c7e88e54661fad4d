package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/test/command"
	"berth/test/results"
	"berth/test/suite"
	"berth/test/tree"
)

// options are the options and arguments of the command line.
type options struct {
	suites  []string
	engines []string
	run     string
	results string
	again   int
	verbose bool
	timeout time.Duration
}

func main() {
	tree.Enter()
	suite.Main("engines", func(ctx context.Context) (bool, error) {
		o, err := parseOptions()
		if err != nil {
			return false, err
		}
		return runAll(ctx, o)
	})
}

func parseOptions() (*options, error) {
	o := new(options)
	suites := flag.String("suite", "forky,trixie", "Debian's suites, a comma `list`")
	flag.StringVar(&o.run, "run", "", "only tests that match this `regexp`")
	flag.StringVar(&o.results, "results", "", "`directory` for the outcome of each test, a file an engine and suite")
	flag.IntVar(&o.again, "again", 0, "run the failed tests of an engine a second time if they are at most this `number`")
	flag.BoolVar(&o.verbose, "v", false, "print all that the tests print")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Minute, "for one engine in one suite")
	flag.Parse()
	o.suites, o.engines = strings.Split(*suites, ","), flag.Args()
	for _, name := range o.engines {
		if !slices.ContainsFunc(engines, func(e engine) bool { return e.name == name }) {
			return nil, fmt.Errorf("there is no engine %q in the table", name)
		}
	}
	return o, nil
}

// wants reports whether the command line selects an engine in a suite. Without
// arguments it selects all, except those that must be named.
func (o *options) wants(e engine, suite string) bool {
	wanted := len(o.engines) == 0 && !e.named || slices.Contains(o.engines, e.name)
	return wanted && slices.Contains(e.suites, suite)
}

// runAll reports whether all tests pass.
func runAll(ctx context.Context, o *options) (bool, error) {
	share, err := os.MkdirTemp("", "berth-engines-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(share)
	trees := startTrees(ctx, o)
	defer trees.Close()
	if err := build(ctx, share); err != nil {
		return false, err
	}
	box, err := startTools(ctx, o, filepath.Join(share, "tools"))
	if err != nil {
		return false, err
	}
	defer box.Close()
	var all []result
	for _, suite := range o.suites {
		some, err := runSuite(ctx, o, suite, &builds{share, box, trees})
		if err != nil {
			return false, err
		}
		all = append(all, some...)
	}
	return report(all), nil
}

// build compiles the tests and berth's programs.
func build(ctx context.Context, share string) error {
	start := time.Now()
	steps := [][]string{
		{"build", "-trimpath", "-tags", "grpcnotrace", "-o", filepath.Join(share, "bin") + "/", "./cmd/..."},
		{"build", "-trimpath", "-tags", "hook", "-o", filepath.Join(share, "bin") + "/", "./cmd/berth-hook",
			"./cmd/berth-cni", "./cmd/berth-netavark"},
		{"test", "-tags", "engines", "-c", "-o", filepath.Join(share, "e2e.test"), "./test/e2e"},
	}
	for _, args := range steps {
		if err := command.Go(ctx, ".", args...); err != nil {
			return err
		}
	}
	if err := command.HookClient(ctx, ".", filepath.Join(share, "bin")); err != nil {
		return err
	}
	fmt.Printf("engines: built in %.0f s\n", time.Since(start).Seconds())
	return nil
}

// The builds are what engines are tested with: the programs in a directory, tools, and trees.
type builds struct {
	share string
	tools *toolbox
	trees *treeBuilder
}

// runSuite runs the tests of each selected engine in the tree of a suite.
func runSuite(ctx context.Context, o *options, suite string, made *builds) ([]result, error) {
	var wanted []engine
	for _, e := range engines {
		if o.wants(e, suite) {
			wanted = append(wanted, e)
		}
	}
	var all []result
	for _, e := range wanted {
		if err := made.tools.wait(e.tools); err != nil {
			return nil, err
		}
		t, err := made.trees.wait(e, suite)
		if err != nil {
			return nil, err
		}
		r, err := runEngine(ctx, o, e, t, made.share)
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", e.name, suite, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// runTests links CNI's plugins to /opt/cni/bin, upstream's directory, which engines
// use without configuration, and runs a command.
const runTests = `mkdir -p /opt/cni && ln -s /usr/lib/cni /opt/cni/bin && exec "$0" "$@"`

// runEngine runs the tests of an engine, and those that failed a second time if they are
// few. The deadline of the tests ends a minute before that of the tree.
func runEngine(ctx context.Context, o *options, e engine, t *tree.Tree, share string) (result, error) {
	pattern := e.tests
	if o.run != "" {
		pattern = o.run
	}
	start := time.Now()
	r := result{name: e.name + " in " + t.Suite}
	if err := runOnce(ctx, o, e, t, share, pattern, &r); err != nil {
		return result{}, err
	}
	if failed, ok := results.Second(r.status, r.log.Ended, o.again); ok {
		fmt.Printf("engines: %s: again: %s\n", r.name, cmp.Or(failed, "all, after exit status "+strconv.Itoa(r.status)))
		r.log.Again()
		if err := runOnce(ctx, o, e, t, share, cmp.Or(failed, pattern), &r); err != nil {
			return result{}, err
		}
	}
	r.took = time.Since(start)
	r.print(o.verbose)
	if o.results == "" {
		return r, nil
	}
	return r, results.Write(filepath.Join(o.results, e.name+"-"+t.Suite+".json"), r.outcomes())
}

// runOnce runs the tests that match a pattern, and adds their output to a result.
func runOnce(ctx context.Context, o *options, e engine, t *tree.Tree, share, pattern string, r *result) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout+time.Minute)
	defer cancel()
	log, err := os.CreateTemp(share, "log")
	if err != nil {
		return err
	}
	defer log.Close()
	run, limit := runInTree, o.timeout
	if e.machine {
		run, limit = runInMachine, o.timeout-machineSpare
	}
	status, err := run(ctx, o, e, t, share, log,
		[]string{"-test.v", "-test.run=" + pattern, "-test.timeout=" + limit.String()})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		return err
	}
	r.add(string(text), status)
	return nil
}

// runInTree runs the tests in the engine's tree.
func runInTree(ctx context.Context, _ *options, e engine, t *tree.Tree, share string, log *os.File,
	args []string) (int, error) {
	s := t.In()
	s.OwnNet, s.Output = true, log
	s.Binds = []tree.Bind{{Source: share, Target: shareDir, ReadOnly: true}}
	s.Plain = stores
	s.Env = []string{"PATH=" + e.path(), "BERTH_E2E_BIN=" + shareDir + "/bin"}
	return s.Run(ctx, append([]string{"sh", "-c", runTests, shareDir + "/e2e.test"}, args...)...)
}
