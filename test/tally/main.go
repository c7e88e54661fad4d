// Command tally runs go test and summarises it: it prints each package as it ends, the
// output of failed tests, the tests that run for long, and at the end how many tests
// ran, failed and were skipped, and each skip with its reason.
//
//	go run ./test/tally -timeout 10m ./...                   # arguments of go test
//	go run ./test/tally -results FILE -where 6.18 -- ./...   # keeps the outcomes
//	go run ./test/tally -unproven FILE…                      # skipped, and passed in no file
//
// Its own flags come first, and "--" ends them. The exit status is 0 if all tests that ran
// passed, 1 if a test failed or one is unproven, and 2 if the tests could not be run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"berth/test/results"
)

func main() {
	file := flag.String("results", "", "`file` for the outcome of each test")
	where := flag.String("where", "", "the kernel or engine, as results name it")
	unproven := flag.Bool("unproven", false, "read files of results, and fail if a test was skipped and passed in none")
	args := os.Args[1:]
	if own := slices.Index(args, "--"); own >= 0 || len(args) > 0 && args[0] == "-unproven" {
		flag.Parse()
		args = flag.Args()
	}
	if *unproven {
		os.Exit(compare(args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := newTally(os.Stdout, *where)
	code, err := t.runTests(ctx, args)
	if err == nil && *file != "" {
		err = results.Write(*file, t.results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		code = 2
	}
	os.Exit(code)
}

// runTests runs go test with arguments, and returns tally's exit status.
func (t *tally) runTests(ctx context.Context, args []string) (int, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 2, err
	}
	if err := cmd.Start(); err != nil {
		return 2, err
	}
	if err := t.follow(out, time.Tick(progressEvery)); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 2, err
	}
	err = cmd.Wait()
	t.summary()
	switch exit := new(exec.ExitError); {
	case err == nil && t.failed == 0:
		return 0, nil
	case err == nil || errors.As(err, &exit) && t.failed > 0:
		return 1, nil
	}
	return 2, fmt.Errorf("go test: %w", err)
}

// compare prints the tests that no file of results lists as passed, and returns tally's
// exit status.
func compare(files []string) int {
	all, err := results.Read(files...)
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
	fmt.Printf("%d outcomes from %d places\n", len(all), len(places))
	skips := results.Unproven(all)
	if len(skips) == 0 {
		fmt.Println("every test that was skipped in one place has passed in another")
		return 0
	}
	fmt.Printf("%d tests were skipped, and have passed nowhere:\n", len(skips))
	printSkips(os.Stdout, skips)
	return 1
}
