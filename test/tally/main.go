// Command tally runs go test and summarises it: it prints each package as it ends, the
// output of failed tests, the tests that run for long, and at the end how many tests
// ran, failed and were skipped, and each skip with its reason.
//
//	go run ./test/tally -timeout 10m ./...                   # arguments of go test
//	go run ./test/tally -results FILE -where 6.18 -- ./...   # keeps the outcomes
//	go run ./test/tally -sum FILE…                           # what failed, and what ran nowhere
//
// Its own flags come first, and "--" ends them. With -again N it runs failed tests a second
// time if they are at most N: a test that then passes is unsteady, which is a fault to mend
// but fails nothing. A package that ended before its tests, for example by a panic, counts
// as one and runs whole. The flags of go test are then written as -flag=value.
//
// The exit status is 0 if all tests that ran passed, 1 if a test failed or, with -sum, one
// was skipped everywhere, and 2 if the tests could not be run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"berth/test/results"
)

func main() {
	file := flag.String("results", "", "`file` for the outcome of each test")
	where := flag.String("where", "", "the kernel or engine, as results name it")
	again := flag.Int("again", 0, "run failed tests a second time if they are at most this `number`")
	sum := flag.Bool("sum", false, "read files of results, print the failed and unsteady tests, and fail if a test was "+
		"skipped and passed in none")
	args := os.Args[1:]
	if own := slices.Index(args, "--"); own >= 0 || len(args) > 0 && args[0] == "-sum" {
		flag.Parse()
		args = flag.Args()
	}
	if *sum {
		os.Exit(printSum(os.Stdout, args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := newTally(os.Stdout, *where)
	code, err := t.runTests(ctx, args, *again)
	if err == nil && *file != "" {
		err = results.Write(*file, t.results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		code = 2
	}
	os.Exit(code)
}

// runTests runs go test with arguments, and the failed tests a second time if they are at
// most again. It returns tally's exit status.
func (t *tally) runTests(ctx context.Context, args []string, again int) (int, error) {
	bad, err := t.goTest(ctx, args)
	if err != nil {
		return 2, err
	}
	if bad {
		for _, second := range t.secondRuns(args, again) {
			fmt.Fprintf(t.out, "again: go test %s\n", strings.Join(second, " "))
			if _, err = t.goTest(ctx, second); err != nil {
				return 2, err
			}
		}
		if t.failed() == 0 && len(t.again) == 0 {
			return 2, errors.New("go test failed, but no test did")
		}
	}
	t.summary()
	return min(t.failed(), 1), nil
}

// secondRuns begins the second runs, if at most again tests and packages failed, and returns
// the arguments of go test for each: one runs the failed tests, and one all tests of the
// packages that ended before their tests.
func (t *tally) secondRuns(args []string, again int) [][]string {
	var names, packages []string
	for _, r := range t.results {
		if r.Outcome == results.Fail && !strings.Contains(r.Test, "/") && !slices.Contains(t.broken, r.Package) {
			names, packages = append(names, r.Test), append(packages, r.Package)
		}
	}
	if len(t.unbuilt) > 0 || len(names)+len(t.broken) > again {
		return nil
	}
	second := []string{"-count=1"}
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			second = append(second, arg)
		}
	}
	var runs [][]string
	if len(names) > 0 {
		slices.Sort(packages)
		run := append(slices.Clone(second), "-run="+results.Pattern(names))
		runs = append(runs, append(run, slices.Compact(packages)...))
	}
	if len(t.broken) > 0 {
		runs = append(runs, append(slices.Clone(second), t.broken...))
	}
	t.again, t.broken = runs, nil
	return runs
}

// failed returns the number of tests that failed in their last run, and of packages that
// failed without a test of theirs.
func (t *tally) failed() int {
	n := results.Count(t.results).Failed + len(t.unbuilt)
	for _, path := range t.broken {
		if !t.failedIn(path) {
			n++
		}
	}
	return n
}

// goTest runs go test, and reports whether it failed. It returns an error if it could not
// be run.
func (t *tally) goTest(ctx context.Context, args []string) (failed bool, err error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	if err := t.follow(out, time.Tick(progressEvery)); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return false, err
	}
	err = cmd.Wait()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		return false, fmt.Errorf("go test: %w", err)
	}
	return err != nil, nil
}

// printSum prints the failed and unsteady tests of all files of results, with their
// output, and the tests that no file lists as passed. It returns tally's exit status.
func printSum(out io.Writer, files []string) int {
	all, err := results.ReadFiles(files...)
	if err == nil && len(all) == 0 {
		err = errors.New("there are no results")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		return 2
	}
	places := map[string]int{}
	for _, r := range all {
		places[r.Where]++
	}
	fmt.Fprintf(out, "%d outcomes from %d places\n", len(all), len(places))
	failed, unsteady := results.Failures(all)
	printFailures(out, "unsteady: failed once, and passed when run again", unsteady)
	printFailures(out, "failed", failed)
	skips := results.Unproven(all)
	if len(skips) == 0 {
		fmt.Fprintln(out, "every test that was skipped in one place has passed in another")
		return 0
	}
	fmt.Fprintf(out, "%d tests were skipped, and have passed nowhere:\n", len(skips))
	printSkips(out, skips)
	return 1
}
