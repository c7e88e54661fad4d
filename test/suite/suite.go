// Package suite has the main function of the programs that run a suite of tests
// somewhere else: in emulated machines, in trees with engines.
package suite

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
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
