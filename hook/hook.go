package hook

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/bpf"
	"berth/internal/config"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
)

// Hook is what a run of the hook works with. It is used once, by one goroutine.
type Hook struct {
	Dirs  config.Dirs
	Store *state.Store
	Log   *slog.Logger

	// Networks are asked for beside the annotations, by the hook's arguments: a
	// CDI device is one. One that an annotation names too is asked for once.
	Networks []string

	// Step, where set, is called with the name of each step that was done; its
	// error fails the run there. Tests fail and kill runs with it.
	Step func(name string) error

	// Interruptible, where set, makes the context of an attach, from where there
	// is something to undo.
	Interruptible func(context.Context) context.Context

	// Unlink, where set, starts a process that calls the function Unlink, and
	// does not wait for it: a poststop ends once the interfaces are gone, while
	// the kernel still tidies up.
	Unlink func(nsid int, name string) error

	host     *network.Handle
	left     release.Rest // seen when the facts were gathered
	stopping bool
}

// Timeout is how long a run may take, what it waits for locks included. Engines
// set no limit of their own, or whole seconds; ours ends first, so that the undo
// still runs.
const Timeout = 20 * time.Second

// How long a run may look for what others left behind: always, and when an
// address, a MAC or a parent that it needs is held.
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

// Run reads the state of a container and attaches or releases it. The stage is
// "" where the caller does not know it: then a stopped container is released
// and any other attached.
func (h *Hook) Run(ctx context.Context, stage string, stdin io.Reader) error {
	h.stopping = stage == Poststop
	st, err := readStateWithin(ctx, stdin)
	if err != nil {
		return err
	}
	if stage == Poststop || stage == "" && st.Status == specs.StateStopped {
		h.stopping = true
		return h.End(ctx, st.ID)
	}
	return h.Start(ctx, st)
}

// Stopping reports whether the run was a poststop, which must not fail.
func (h *Hook) Stopping() bool { return h.stopping }

func (h *Hook) releaser() *release.Releaser {
	return &release.Releaser{Store: h.Store, BPFFS: h.Dirs.BPFFS, Host: h.host, Log: h.Log}
}

// logCollected tells what was reclaimed of others. That it failed is no reason
// to fail a container.
func (h *Hook) logCollected(report release.Report, err error) {
	if err != nil {
		h.Log.Warn("reclaim what is left of other containers", "error", err)
	}
	if len(report.Released) > 0 {
		h.Log.Info("reclaimed", "attachments", report.Released)
	}
}

// maps opens the agent's pinned maps; nil where no agent ever pinned any.
func (h *Hook) maps() (*bpf.Maps, error) {
	m, err := bpf.Open(h.Dirs.BPFFS)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// step says that a step was done.
func (h *Hook) step(name string) error {
	h.Log.Debug("done", "step", name)
	if h.Step == nil {
		return nil
	}
	return h.Step(name)
}
