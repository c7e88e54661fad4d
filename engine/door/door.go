// Package door contains the steps that the programs of all doors share. Such a program runs
// once for each request of an engine, reads the request from standard input and writes the
// answer to standard output.
//
// [Program] is such a program without its protocol; its Main is the main function.
//
// It is independent of the engines' protocols, which the packages of the engines implement.
// It imports hook, internal/config, internal/state and specs.
package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

// enterRequest prepares the process for one request. A request takes milliseconds and is
// sequential: garbage collection and other threads would take most of its time. A relative
// path in a request must not lead to a directory that a container controls.
func enterRequest() error {
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	unix.Umask(0o077)
	return os.Chdir("/")
}

// openHook returns the hook for one request, which logs to the hook's log, and a function that
// closes the log. A signal to the process undoes an attach. The berth-hook beside the
// program probes for the next addresses.
func openHook(dirs config.Dirs) (h *hook.Hook, closeLog func()) {
	store := state.Open(dirs.State)
	log, closeLog := hook.OpenLog(store, os.Getpid())
	return &hook.Hook{
		Dirs: dirs, Store: store, Log: log, Interruptible: untilSignal, StartProber: hook.StartProberBeside(dirs),
	}, closeLog
}

// untilSignal returns a context that ends with a signal.
func untilSignal(ctx context.Context) context.Context {
	ctx, _ = signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT, unix.SIGHUP) // until the process exits
	return ctx
}

// ReadRequest reads a request of at most limit bytes, bounded by a context: an engine that
// does not close the stream must not hold the program. The read itself ends with the process.
func ReadRequest(ctx context.Context, r io.Reader, limit int64) ([]byte, error) {
	type input struct {
		data []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(r, limit+1))
		if err == nil && int64(len(data)) > limit {
			err = fmt.Errorf("it has more than %d bytes", limit)
		}
		done <- input{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read the request from standard input: no end of file in time: %w", context.Cause(ctx))
	case got := <-done:
		if got.err != nil {
			return nil, fmt.Errorf("read the request from standard input: %w", got.err)
		}
		return got.data, nil
	}
}

// AtNetwork adds the key of the network's name to an error about the name itself.
func AtNetwork(key string, err error) error {
	var v *specs.ValueError
	if errors.As(err, &v) && v.Key == "" {
		return specs.At(key, err)
	}
	return err
}
