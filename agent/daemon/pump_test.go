package daemon

import (
	"log/slog"
	"os"
	"slices"
	"testing"

	"berth/bpf"

	"golang.org/x/sys/unix"
)

// failingReader fails once, then is closed.
type failingReader struct{ reads int }

func (r *failingReader) Read() (bpf.RawEvent, error) {
	if r.reads++; r.reads == 1 {
		return bpf.RawEvent{}, unix.EIO
	}
	return bpf.RawEvent{}, os.ErrClosed
}

// TestEventsAreReadAfterAnError requires that reading goes on after an error, and that the
// status shows the error.
func TestEventsAreReadAfterAnError(t *testing.T) {
	t.Parallel()
	a, r := &Agent{log: slog.New(slog.DiscardHandler)}, new(failingReader)
	a.troubles.log = a.log
	a.pumpEvents(r)
	if r.reads != 2 {
		t.Errorf("%d reads, want another after the error", r.reads)
	}
	if got, want := a.troubles.texts(), []string{"events of the datapath: input/output error"}; !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
}
