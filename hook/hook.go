package hook

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"berth/bpf"
	"berth/internal/config"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
)

// Hook holds the inputs of one run of the hook. It is used once, by one goroutine.
type Hook struct {
	Dirs  config.Dirs
	Store *state.Store
	Log   *slog.Logger

	// Networks are selected by the hook's arguments, as a CDI device does, in addition to
	// the annotations. If an annotation names one too, it is attached once.
	Networks []string

	// Step, if set, is called with the name of each completed step; an error of it fails
	// the run there. Tests fail and kill runs with it.
	Step func(name string) error

	// Interruptible, if set, wraps the context of an attach as soon as there is something
	// to undo.
	Interruptible func(context.Context) context.Context

	// Unlink, if set, starts a process that calls the function Unlink, and does not wait
	// for it: a poststop ends once the interfaces are deleted, while the kernel still
	// cleans up.
	Unlink func(nsid int, name string) error

	// StartProber, if set, starts a process that calls the method ProbeAhead, and does not wait for
	// it. If it is nil, every start probes for its addresses itself; else it uses those that
	// a prober has seen free, without a probe of its own.
	StartProber func([]ProbeRequest) error

	growWithin time.Duration // how long a start waits for more of a shared pool; 0 for the constant

	host     *network.Handle
	sample   release.Sample // read when the facts were gathered
	stopping bool
}

// Timeout bounds a run, waits for locks included. Engines set no limit of their own, or
// whole seconds; this limit ends first, so that the undo still runs.
const Timeout = 20 * time.Second

// Bounds of the collection of stale attachments: collectBound at every run, collectAll if
// another attachment holds an address, a MAC or a parent that the run needs.
const (
	collectBound = 2 * time.Millisecond
	collectAll   = 2 * time.Second
)

// Stages of a container in which a runtime calls its hooks (runtime-spec,
// config.md, "POSIX-platform Hooks").
const (
	CreateRuntime = "createRuntime"
	Prestart      = "prestart"
	Poststop      = "poststop"
)

// Run reads the state of a container and attaches or releases it. If the caller does not
// know the stage, stage is "": Run then releases a stopped container and attaches any
// other.
func (h *Hook) Run(ctx context.Context, stage string, stdin io.Reader) error {
	h.stopping = stage == Poststop
	st, err := readStateWithin(ctx, stdin)
	if err != nil {
		return err
	}
	if stage == Poststop || stage == "" && st.Status == stateStopped {
		h.stopping = true
		return h.End(ctx, st.ID)
	}
	return h.Start(ctx, st)
}

// Stopping reports whether the run was a poststop, which must not fail.
func (h *Hook) Stopping() bool { return h.stopping }

func (h *Hook) newReleaser() *release.Releaser {
	return &release.Releaser{Store: h.Store, BPFFS: h.Dirs.BPFFS, Host: h.host, Log: h.Log}
}

// logCollected logs the reclaimed attachments of other containers. A failed collection
// does not fail the container.
func (h *Hook) logCollected(report release.Report, err error) {
	if err != nil {
		h.Log.Warn("reclaim the remains of other containers", "error", err)
	}
	if len(report.Released) > 0 {
		h.Log.Info("reclaimed", "attachments", report.Released)
	}
}

// openMaps opens the agent's pinned maps, or returns nil if no agent ever pinned any.
func (h *Hook) openMaps() (*bpf.Maps, error) {
	m, err := bpf.Open(h.Dirs.BPFFS)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// logStep logs a completed step and calls h.Step.
func (h *Hook) logStep(name string) error {
	h.Log.Debug("done", "step", name)
	if h.Step == nil {
		return nil
	}
	return h.Step(name)
}
