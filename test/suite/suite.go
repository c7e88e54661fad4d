// Package suite has the main function of the programs that run a suite of tests
// somewhere else: in emulated machines, in trees with engines.
//
// [Main] is the main function; [AtOnce] runs a suite at several places at once.
package suite

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// Main runs a suite and exits: 0 if all of it passes, 1 if not, 2 if it could not
// be run. An interrupt or SIGTERM ends its context.
func Main(name string, run func(context.Context) (passed bool, err error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	passed, err := run(ctx)
	stop()
	os.Exit(status(name, passed, err))
}

func status(name string, passed bool, err error) int {
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 2
	case !passed:
		return 1
	}
	return 0
}

// AtOnce runs a suite at several places, at most so many at once, and reports whether it
// passes at all of them. The first error ends the others' context.
func AtOnce(ctx context.Context, most int, places []string,
	run func(ctx context.Context, place string) (passed bool, err error)) (bool, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(most)
	var failed atomic.Bool
	for _, place := range places {
		group.Go(func() error {
			passed, err := run(ctx, place)
			if err != nil {
				return fmt.Errorf("%q: %w", place, err)
			}
			if !passed {
				failed.Store(true)
			}
			return nil
		})
	}
	err := group.Wait()
	return err == nil && !failed.Load(), err
}
